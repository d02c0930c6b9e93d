"""The ``.Z`` format of the Unix program compress: LZW with codes of 9 to 16 bits.

Source: T. A. Welch, "A Technique for High-Performance Data Compression", Computer 17 (1984); the block
mode and the padding of code groups as the format's later writers have them.
"""

from __future__ import annotations

_MAGIC = b"\x1f\x9d"
_CLEAR = 256


def decompress(data: bytes, limit: int = 2**32) -> bytes:
    """The content of a ``.Z`` file.

    Parameters
    ----------
    data
        Content of the file.
    limit
        How large the result may be [bytes].

    Raises
    ------
    ValueError
        It is not such a file, is damaged, or grows beyond `limit` bytes.
    """
    if len(data) < 3 or data[:2] != _MAGIC:
        raise ValueError("not a compress (.Z) file")
    longest, block = data[2] & 0x1F, bool(data[2] & 0x80)
    if not 9 <= longest <= 16:
        raise ValueError(f"codes of {longest} bits")
    first = 257 if block else 256
    table: list[bytes] = [bytes([i]) for i in range(256)] + ([b""] if block else [])
    out: list[bytes] = []
    size, width, previous = 0, 9, b""
    position, end = 24, 8 * len(data)
    group = position  # codes come in groups of eight, padded when the width changes
    while position + width <= end:
        byte, shift = divmod(position, 8)
        code = int.from_bytes(data[byte : byte + 4], "little") >> shift & ((1 << width) - 1)
        position += width
        if code == _CLEAR and block:
            del table[first:]
            position = group + -(-(position - group) // (8 * width)) * 8 * width
            group, width, previous = position, 9, b""
            continue
        if code < len(table) and (code != _CLEAR or not block):
            entry = table[code]
        elif code == len(table) and previous:
            entry = previous + previous[:1]
        else:
            raise ValueError(f"code {code} before it is defined")
        out.append(entry)
        size += len(entry)
        if size > limit:
            raise ValueError(f"grows beyond {limit} bytes")
        if previous and len(table) < 1 << longest:
            table.append(previous + entry[:1])
        previous = entry
        if len(table) >= 1 << width and width < longest:
            position = group + -(-(position - group) // (8 * width)) * 8 * width
            group, width = position, width + 1
    return b"".join(out)
