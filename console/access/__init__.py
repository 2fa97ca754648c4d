"""Who may do what: accounts, passwords, second factors, sessions, tokens, roles."""
