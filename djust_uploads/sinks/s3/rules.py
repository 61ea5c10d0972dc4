"""What S3 asks and answers, whichever library speaks to it.

Codes: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList. A HEAD
request has no body, so its errors have the HTTP status for a code.
"""

from __future__ import annotations

from ..parts import MIB

#: Bytes of a part but the last one, and how many parts there may be:
#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
MIN_PART = 5 * MIB
MAX_PART = 5 * 1024 * MIB
MAX_PARTS = 10_000

#: Code → the setting to look at.
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
DENIED = {"AccessDenied", "AllAccessDisabled", "AccountProblem", "403"}
FULL = {"QuotaExceeded", "ServiceQuotaExceededException", "XMinioStorageFull"}

#: Damaged on its way, throttled or busy: worth another try.
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
