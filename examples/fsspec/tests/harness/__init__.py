"""What the tests share: dfget, the servers, the tree that they serve, a plugin without dfget."""
