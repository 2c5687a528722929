"""Deploys the pipeline to AWS, and to any emulator of it: CloudFormation stacks, function zips, the producer's image.

`functions` names the Lambda functions. `package` builds their zips, `image` the producer's image, and `deployer`
deploys the templates of infra/cloudformation in order. `python -m deployment --help` lists the commands.
"""
