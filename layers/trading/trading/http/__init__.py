"""The HTTP edge: routing, validation and problem details (RFC 9457); used by functions only."""
