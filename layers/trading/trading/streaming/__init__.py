"""The price socket: its protocol, who is connected, and broadcasts to them."""
