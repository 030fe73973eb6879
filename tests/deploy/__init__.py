"""What is deployed with the node, held against what the node really is."""
