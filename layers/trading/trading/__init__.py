"""What the business knows: trades and their notifications, apart from how anybody is woken."""
