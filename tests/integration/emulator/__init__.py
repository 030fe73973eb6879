"""The emulator against the real neonize client, each client in a process of its own."""
