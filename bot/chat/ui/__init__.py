"""What people see: pure functions from results to messages, and the sentences in them."""
