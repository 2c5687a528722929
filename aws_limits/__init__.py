"""What AWS's services accept and how they count it: each number once, with its source.

A kilobyte is 1,024 bytes where AWS counts the size of an item or of memory. Of the Kinesis payload unit AWS says
only 25 KB, so the smaller reading holds: a packet of 25,000 bytes is one unit by either.
"""

KIB = 1024
MIB = 1024 * KIB

KINESIS_REQUEST_RECORDS = 500
"""https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html"""
KINESIS_REQUEST_BYTES = 5 * MIB
"""Data and partition keys of one PutRecords request. Newer streams accept 10 MiB, and all accept 5 MiB. Same source."""
KINESIS_RECORD_BYTES = MIB
"""Data and partition key of one record. Newer streams accept more, and all accept 1 MiB. Same source."""
KINESIS_PAYLOAD_UNIT_BYTES = 25_000
"""What is billed as one PUT payload unit, rounded up for each record: https://aws.amazon.com/kinesis/data-streams/pricing/"""
KINESIS_GET_RECORDS = 10_000
"""https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetRecords.html"""

LAMBDA_PAYLOAD_BYTES = 6 * MIB
"""One invocation: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""

DYNAMODB_ITEM_BYTES = 400 * KIB
"""https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html"""
DYNAMODB_WRITE_UNIT_BYTES = KIB
DYNAMODB_READ_UNIT_BYTES = 4 * KIB
"""https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html"""
DYNAMODB_BATCH_WRITE_ITEMS = 25
"""https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html"""
DYNAMODB_BATCH_GET_KEYS = 100
"""https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html"""

MESSAGE_BATCH = 10
"""Messages of one SNS or SQS batch, and of one ReceiveMessage."""
MESSAGE_BATCH_BYTES = 256 * KIB
"""Bytes of one batch. SQS accepts 1 MiB since 2025, but not every emulator does:
https://docs.aws.amazon.com/sns/latest/api/API_PublishBatch.html
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html"""
SNS_SUBJECT_LENGTH = 99
"""A subject has fewer than 100 characters: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html"""
