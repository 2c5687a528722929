"""What AWS's services accept and how they count it: each number once, with its source. Pure.

A kilobyte is 1,024 bytes where AWS counts the size of an item or of memory. For the Kinesis payload
unit of 25 KB, AWS does not say whether a KB is 1,000 or 1,024 bytes; 25,000 fits either.
"""

KIB = 1024
MIB = 1024 * KIB

KINESIS_REQUEST_RECORDS = 500
"""The most records of one PutRecords request:
https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html"""
KINESIS_REQUEST_BYTES = 5 * MIB
"""The most data and partition keys of one PutRecords request, from the same source. Newer streams accept 10 MiB."""
KINESIS_RECORD_BYTES = MIB
"""The most data and partition key of one record, from the same source. Newer streams accept more."""
KINESIS_PAYLOAD_UNIT_BYTES = 25_000
"""The size of a PUT payload unit. Each record is billed as a whole number of them:
https://aws.amazon.com/kinesis/data-streams/pricing/"""
KINESIS_GET_RECORDS = 10_000
"""The most records that one GetRecords returns:
https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetRecords.html"""

LAMBDA_PAYLOAD_BYTES = 6 * MIB
"""The largest event of one invocation: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""

DYNAMODB_ITEM_BYTES = 400 * KIB
"""The largest item, including its attributes' names:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html"""
DYNAMODB_WRITE_UNIT_BYTES = KIB
"""How much of an item one write unit writes:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html"""
DYNAMODB_READ_UNIT_BYTES = 4 * KIB
"""How much of an item one read unit reads, with strong consistency. From the same source."""
DYNAMODB_PAGE_BYTES = MIB
"""The most items of one page of a query, in bytes:
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Query.html"""
DYNAMODB_BATCH_WRITE_ITEMS = 25
"""The most items of one BatchWriteItem:
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html"""
DYNAMODB_BATCH_GET_KEYS = 100
"""The most keys of one BatchGetItem:
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html"""

MESSAGE_BATCH = 10
"""The most messages of one SNS or SQS batch, and of one ReceiveMessage. See `MESSAGE_BATCH_BYTES` for the sources."""
MESSAGE_BATCH_BYTES = 256 * KIB
"""The largest batch of SNS or SQS. SQS accepts 1 MiB since 2025, but not every emulator does:
https://docs.aws.amazon.com/sns/latest/api/API_PublishBatch.html
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html"""
SNS_SUBJECT_LENGTH = 99
"""The longest subject. AWS asks for fewer than 100 characters: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html"""

CLOUDFORMATION_PARAMETER_BYTES = 4096
"""The longest value of a template's parameter:
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html"""
