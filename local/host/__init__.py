"""The system on a laptop: PostgreSQL, AWS's services, the gateways and the functions, wired by template.yaml."""
