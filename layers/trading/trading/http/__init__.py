"""The HTTP edge: routing, validation, and problems as RFC 9457 words them; only functions use it."""
