"""What is killed in the drill; see ``tests.drill.scenario``."""
