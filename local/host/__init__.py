"""The local system: PostgreSQL, AWS services, gateways and functions, wired from template.yaml."""
