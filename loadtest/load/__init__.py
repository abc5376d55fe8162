"""What Locust's users are made of: it speaks gRPC by sync stubs, and knows nothing of Locust."""
