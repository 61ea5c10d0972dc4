"""The limits and the error codes of S3, for every library that speaks to it.

Codes: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList. The answer
to a HEAD request has no body, so its code is the HTTP status.
"""

from __future__ import annotations

from ..parts import MIB

#: The bytes that a part must have, except the last one, and how many parts there may be:
#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
MIN_PART = 5 * MIB
MAX_PART = 5 * 1024 * MIB
MAX_PARTS = 10_000

#: Error code to the setting that is probably wrong.
SETTINGS = {
    "AccessControlListNotSupported": "extra_args['ACL'] (the bucket takes no ACLs)",
    "AccountProblem": "the account of the credentials",
    "AuthorizationHeaderMalformed": "region_name",
    "ExpiredToken": "aws_session_token, or the SDK's credentials: they have expired",
    "IllegalLocationConstraintException": "region_name",
    "InvalidAccessKeyId": "aws_access_key_id, or the SDK's credentials",
    "InvalidBucketName": "bucket",
    "InvalidStorageClass": "extra_args['StorageClass']",
    "InvalidTag": "extra_args['Tagging']",
    "InvalidToken": "aws_session_token, or the SDK's credentials",
    "KMS.DisabledException": "extra_args['SSEKMSKeyId']",
    "KMS.KMSInvalidStateException": "extra_args['SSEKMSKeyId']",
    "KMS.NotFoundException": "extra_args['SSEKMSKeyId']",
    "MethodNotAllowed": "endpoint_url",
    "NoSuchBucket": "bucket (there is none of that name)",
    "PermanentRedirect": "region_name or endpoint_url",
    "RequestTimeTooSkewed": "the clock of this machine",
    "SignatureDoesNotMatch": "aws_secret_access_key, or the SDK's credentials",
    "301": "region_name or endpoint_url",
}
#: The credentials may not do what was requested.
DENIED = {"AccessDenied", "AllAccessDisabled", "AccountProblem", "403"}

#: There is no space left.
FULL = {"QuotaExceeded", "ServiceQuotaExceededException", "XMinioStorageFull"}

#: The request may succeed if it is repeated: its bytes were damaged, or the store is busy.
TRANSIENT = {
    "BadDigest",
    "ConditionalRequestConflict",
    "InvalidDigest",
    "OperationAborted",
    "RequestTimeout",
    "SlowDown",
    "Throttling",
    "TooManyRequests",
    "XAmzContentChecksumMismatch",
    "XAmzContentSHA256Mismatch",
}
