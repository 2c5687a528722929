"""Deploys the pipeline to AWS, or to an emulator of it: CloudFormation stacks, function zips, the producer's image.

Data: `functions` lists the Lambda functions, `stacks` the templates and their order. Work: `package` builds a
function's zip, `image` the producer's image, `cloudformation` handles one stack, and `deployer` deploys all in order.
`python -m deployment --help` lists the commands.
"""
