"""The door in: admits scans, appends them to the scan log, and answers when they are durable."""
