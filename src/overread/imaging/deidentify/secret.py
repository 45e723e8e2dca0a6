"""New identifiers out of old ones by a secret key: the same every time, and not to be guessed without the key.

HMAC with SHA-256 (RFC 2104). New UIDs are 2.25 followed by a number of 128 bits (PS3.5 B.2).
"""

from __future__ import annotations

import base64
import hmac
import secrets
from dataclasses import dataclass
from hashlib import sha256

STANDARD_ROOT = "1.2.840.10008."  # UIDs of the standard itself: they name no patient, and nothing works without them
SHORTEST_SHIFT, LONGEST_SHIFT = 365, 3650  # days
CODE_LETTERS = 10  # 50 bits: among a million patients, two share a code with a chance of 1 in 2,000


@dataclass(frozen=True)
class Secret:
    """A key of 32 bytes and what follows from it."""

    key: bytes

    @classmethod
    def fresh(cls) -> Secret:
        return cls(secrets.token_bytes(32))

    def uid(self, original: str) -> str:
        """A new UID; those that the standard itself defines stay."""
        original = original.strip("\0 ")
        if not original or original.startswith(STANDARD_ROOT):
            return original
        digits = bytearray(self._digest("uid", original)[:16])
        digits[6] = digits[6] & 0x0F | 0x40  # version 4, variant of RFC 4122, as PS3.5 B.2 asks
        digits[8] = digits[8] & 0x3F | 0x80
        return f"2.25.{int.from_bytes(digits)}"

    def code(self, kind: str, original: str) -> str:
        """A short pseudonym, such as P-K3QW7Z2MAB; at most 12 characters, so that it fits every text attribute."""
        text = base64.b32encode(self._digest(kind, original)).decode()
        return f"{kind[0].upper()}-{text[:CODE_LETTERS]}"

    def shift(self, patient: str) -> int:
        """Days by which all dates of a patient move into the past: one to ten years, in whole weeks."""
        span = (LONGEST_SHIFT - SHORTEST_SHIFT) // 7
        weeks = int.from_bytes(self._digest("shift", patient)[:8]) % span
        return -(SHORTEST_SHIFT // 7 + 1 + weeks) * 7

    def _digest(self, kind: str, original: str) -> bytes:
        return hmac.new(self.key, f"{kind}\0{original}".encode("utf-8", "surrogateescape"), sha256).digest()
