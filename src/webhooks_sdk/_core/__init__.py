"""The pure logic of one call: no sockets, sleeps, locks or HTTP library."""
