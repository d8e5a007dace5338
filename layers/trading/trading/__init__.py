"""The business logic, independent of how the functions are triggered."""
