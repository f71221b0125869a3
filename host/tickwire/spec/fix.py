"""FIX: versions, the fields that a session itself reads, and why a message is refused.

A message is a chain of ``tag=value`` fields, each ended by SOH. The first three are 8, 9 and 35,
the last is 10: the sum of every octet before it modulo 256, three digits. 9 counts the octets
between its own SOH and ``10=``.
"""

from enum import IntEnum

SOH = 0x01

VERSIONS = ("FIX.4.2", "FIX.4.4", "FIXT.1.1", "FIX.5.0SP2")
"""Own dictionaries. FIXT.1.1 holds the session, FIX.5.0SP2 the application messages above it."""

APPLICATION_VERSIONS = {
    "0": "FIX.2.7", "1": "FIX.3.0", "2": "FIX.4.0", "3": "FIX.4.1", "4": "FIX.4.2", "5": "FIX.4.3",
    "6": "FIX.4.4", "7": "FIX.5.0", "8": "FIX.5.0SP1", "9": "FIX.5.0SP2",
}
"""DefaultApplVerID (1137) and ApplVerID (1128)."""

ADMIN_TYPES = "012345A"
"""Messages of the session; every other one is the application's."""

USER_DEFINED_MIN = 5000
"""Tags from here on are agreed upon by two parties."""


class Tag(IntEnum):
    """Tags that the session and the order route name."""

    ACCOUNT = 1
    AVERAGE_PRICE = 6
    BEGIN_SEQUENCE = 7
    BEGIN_STRING = 8
    BODY_LENGTH = 9
    CHECKSUM = 10
    CLIENT_ORDER_ID = 11
    CUMULATIVE_QUANTITY = 14
    END_SEQUENCE = 16
    EXECUTION_ID = 17
    HANDLING = 21
    LAST_PRICE = 31
    LAST_QUANTITY = 32
    SEQUENCE = 34
    MESSAGE_TYPE = 35
    NEW_SEQUENCE = 36
    ORDER_ID = 37
    QUANTITY = 38
    ORDER_STATUS = 39
    ORDER_TYPE = 40
    ORIGINAL_CLIENT_ORDER_ID = 41
    POSSIBLE_DUPLICATE = 43
    PRICE = 44
    REFERENCE_SEQUENCE = 45
    SENDER = 49
    SENDING_TIME = 52
    SIDE = 54
    SYMBOL = 55
    TARGET = 56
    TEXT = 58
    TIME_IN_FORCE = 59
    TRANSACT_TIME = 60
    SIGNATURE = 89
    SIGNATURE_LENGTH = 93
    POSSIBLE_RESEND = 97
    ENCRYPT_METHOD = 98
    CANCEL_REJECT_REASON = 102
    ORDER_REJECT_REASON = 103
    HEARTBEAT_SECONDS = 108
    TEST_REQUEST_ID = 112
    LOCATE_REQUIRED = 114
    ORIGINAL_SENDING_TIME = 122
    GAP_FILL = 123
    RESET_SEQUENCE = 141
    EXECUTION_TYPE = 150
    LEAVES_QUANTITY = 151
    REFERENCE_TAG = 371
    REFERENCE_MESSAGE_TYPE = 372
    REJECT_REASON = 373
    RESTATEMENT_REASON = 378
    BUSINESS_REJECT_REASON = 380
    CANCEL_REJECT_RESPONSE_TO = 434
    MASS_CANCEL_TYPE = 530
    MASS_CANCEL_RESPONSE = 531
    USERNAME = 553
    PASSWORD = 554
    NEXT_EXPECTED_SEQUENCE = 789
    APPLICATION_VERSION = 1128
    DEFAULT_APPLICATION_VERSION = 1137


CANCEL_REASONS = {6: ord("H"), 7: ord("Z"), 17: ord("Q"), 18: ord("Q"), 19: ord("Q"), 20: ord("Q")}
"""OUCH's reason of a cancel by the venue's ExecRestatementReason (378): halt, system, self match."""


class RejectReason(IntEnum):
    """SessionRejectReason (373)."""

    INVALID_TAG_NUMBER = 0
    REQUIRED_TAG_MISSING = 1
    TAG_NOT_DEFINED_FOR_MESSAGE = 2
    UNDEFINED_TAG = 3
    TAG_WITHOUT_VALUE = 4
    VALUE_OUT_OF_RANGE = 5
    INCORRECT_FORMAT = 6
    DECRYPTION_PROBLEM = 7
    SIGNATURE_PROBLEM = 8
    COMP_ID_PROBLEM = 9
    SENDING_TIME_ACCURACY = 10
    INVALID_MESSAGE_TYPE = 11
    XML_VALIDATION_ERROR = 12
    TAG_APPEARS_MORE_THAN_ONCE = 13
    TAG_OUT_OF_ORDER = 14
    GROUP_FIELDS_OUT_OF_ORDER = 15
    INCORRECT_GROUP_COUNT = 16
    VALUE_INCLUDES_DELIMITER = 17


REJECT_TEXTS = {
    RejectReason.INVALID_TAG_NUMBER: "Invalid tag number",
    RejectReason.REQUIRED_TAG_MISSING: "Required tag missing",
    RejectReason.TAG_NOT_DEFINED_FOR_MESSAGE: "Tag not defined for this message type",
    RejectReason.UNDEFINED_TAG: "Undefined Tag",
    RejectReason.TAG_WITHOUT_VALUE: "Tag specified without a value",
    RejectReason.VALUE_OUT_OF_RANGE: "Value is incorrect (out of range) for this tag",
    RejectReason.INCORRECT_FORMAT: "Incorrect data format for value",
    RejectReason.DECRYPTION_PROBLEM: "Decryption problem",
    RejectReason.SIGNATURE_PROBLEM: "Signature problem",
    RejectReason.COMP_ID_PROBLEM: "CompID problem",
    RejectReason.SENDING_TIME_ACCURACY: "SendingTime accuracy problem",
    RejectReason.INVALID_MESSAGE_TYPE: "Invalid MsgType",
    RejectReason.XML_VALIDATION_ERROR: "XML validation error",
    RejectReason.TAG_APPEARS_MORE_THAN_ONCE: "Tag appears more than once",
    RejectReason.TAG_OUT_OF_ORDER: "Tag specified out of required order",
    RejectReason.GROUP_FIELDS_OUT_OF_ORDER: "Repeating group fields out of order",
    RejectReason.INCORRECT_GROUP_COUNT: "Incorrect NumInGroup count for repeating group",
    RejectReason.VALUE_INCLUDES_DELIMITER: "Non data value includes field delimiter",
}
"""Text (58) that goes with each reason; the words of QuickFIX, which certification tests know."""


class Garbled(IntEnum):
    """Why octets are no message at all: ignored, and their number is not used (FIX 4.4 vol. 2)."""

    NO = 0
    FIRST_FIELDS = 1         # 8, 9, 35 are not the first three, in this order
    BODY_LENGTH = 2          # 9 is no number, or no 10 stands where it says
    TOO_LONG = 3             # longer than the receiver takes
    CHECKSUM = 4             # 10 is not three digits, or not the sum
    NO_TAG = 5               # a field without `=` or whose tag is no number
    NO_MESSAGE = 6           # octets that do not begin with 8=
    TRUNCATED = 7            # ends before its 10


GARBLED_TEXTS = {
    Garbled.NO: "",
    Garbled.FIRST_FIELDS: "the first three fields are not 8, 9 and 35",
    Garbled.BODY_LENGTH: "BodyLength (9) is not the length of the body",
    Garbled.TOO_LONG: "longer than a message may be",
    Garbled.CHECKSUM: "CheckSum (10) is not the sum of the octets",
    Garbled.NO_TAG: "a field has no tag",
    Garbled.NO_MESSAGE: "does not begin with 8=",
    Garbled.TRUNCATED: "ends before its CheckSum (10)",
}
