"""What the integration tests, the captures and the demo stand on; Python's standard library only."""
