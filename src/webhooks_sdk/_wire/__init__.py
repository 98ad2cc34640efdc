"""Wire-level primitives: headers, bounded body decoding, credential redaction."""
