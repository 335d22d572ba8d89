"""sheet.py QUERIES.gz IMAGES.gz OUT.png < rows: draws a contact sheet.

Each input row is the number of a query image and the numbers of its neighbours, separated by blanks; it becomes a row of
the sheet: the query, a gap, then the neighbours, nearest first. Standard library only.
"""
import gzip
import struct
import sys
import zlib

SIDE, SCALE, GAP = 28, 2, 6


def images(path):
    """The pixels of an IDX file of 28 x 28 images, dark on light."""
    with gzip.open(path) as file:
        magic, _, rows, columns = struct.unpack(">4I", file.read(16))
        if magic != 0x803 or rows != SIDE or columns != SIDE:
            sys.exit(f"{path} is not an IDX file of 28 x 28 images")
        return file.read().translate(bytes(255 - i for i in range(256)))


def png(path, width, lines):
    """Writes 8-bit grey lines as a PNG."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">2I5B", width, len(lines), 8, 0, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + line for line in lines), 9)
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b""))


def row_lines(tiles):
    """The pixel lines of one row of the sheet; tiles are (pixels, number)."""
    for y in range(SIDE):
        line = bytearray()
        for place, (pixels, number) in enumerate(tiles):
            start = (number * SIDE + y) * SIDE
            line += b"".join(bytes([pixel]) * SCALE for pixel in pixels[start:start + SIDE])
            line += b"\xff" * GAP
            if place == 0:
                line += b"\xc0" * 2 + b"\xff" * GAP
        yield from [bytes(line)] * SCALE
    yield from [b"\xff" * len(line)] * GAP


def main():
    queries, base = images(sys.argv[1]), images(sys.argv[2])
    lines = []
    for row in sys.stdin:
        query, *found = map(int, row.split())
        lines += row_lines([(queries, query), *((base, number) for number in found)])
    png(sys.argv[3], len(lines[0]), lines)


main()
