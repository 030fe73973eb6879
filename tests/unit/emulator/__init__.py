"""The emulator's pure layers and its model, without sockets."""
