"""The ports on AWS, one module for each service, over `aws_requests`."""
