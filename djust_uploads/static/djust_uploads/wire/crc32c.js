// CRC32C (RFC 3720, appendix B.4), eight bytes at a step: a MiB takes one or two milliseconds.

const POLYNOMIAL = 0x82f63b78;

/** Eight tables: the first one is for a byte, and each next one for a byte that is further ahead. */
const TABLES = Array.from({ length: 8 }, () => new Uint32Array(256));

for (let byte = 0; byte < 256; byte++) {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
  TABLES[0][byte] = crc;
}
for (let byte = 0; byte < 256; byte++) {
  for (let ahead = 1; ahead < 8; ahead++) {
    const crc = TABLES[ahead - 1][byte];
    TABLES[ahead][byte] = (crc >>> 8) ^ TABLES[0][crc & 0xff];
  }
}

const [T0, T1, T2, T3, T4, T5, T6, T7] = TABLES;

/** The checksum of a Uint8Array, as a number. */
export function crc32c(data) {
  let crc = 0xffffffff;
  let at = 0;
  for (const end = data.length - 7; at < end; at += 8) {
    crc ^= data[at] | (data[at + 1] << 8) | (data[at + 2] << 16) | (data[at + 3] << 24);
    crc = T7[crc & 0xff] ^ T6[(crc >>> 8) & 0xff] ^ T5[(crc >>> 16) & 0xff] ^ T4[crc >>> 24]
      ^ T3[data[at + 4]] ^ T2[data[at + 5]] ^ T1[data[at + 6]] ^ T0[data[at + 7]];
  }
  for (; at < data.length; at++) crc = (crc >>> 8) ^ T0[(crc ^ data[at]) & 0xff];
  return ~crc >>> 0;
}
