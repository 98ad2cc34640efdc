"""Bytes and text on the wire: header lists, bounded decompression, masking of credentials."""
