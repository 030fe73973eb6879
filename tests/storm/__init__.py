"""``make storm``: messages both ways through a node whose ports, main process and broker are killed all the while."""
