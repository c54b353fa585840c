"""What platforms say, politely asked and kept in the lake. Knows no orchestrator and no warehouse."""
