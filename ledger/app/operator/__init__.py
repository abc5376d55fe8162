"""The operator's side of a process: `jobs` that take their time, and the gRPC `service`."""
