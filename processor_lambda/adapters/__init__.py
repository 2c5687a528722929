"""The implementations of `processor_lambda.ports` on AWS, one module for each service. They use `aws_requests`."""
