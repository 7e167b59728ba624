/** The encodings that SSH keys are made of (RFC 4251, section 5): read from a buffer, and put together. */

/** Reads one field after the other. @throws RangeError where the buffer ends before a field does */
export class Fields {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  uint32(): number {
    const value = this.#bytes.readUInt32BE(this.#at);
    this.#at += 4;
    return value;
  }

  /** `string` and `mpint` alike: a length, and so many bytes. */
  string(): Buffer {
    const length = this.uint32();
    if (length > this.#bytes.length - this.#at) throw new RangeError('it ends within a field');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  text(): string {
    return this.string().toString('latin1');
  }
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** As `string`s, one behind the other; text in Latin-1, as key files are read. */
export function strings(...values: readonly (Buffer | string)[]): Buffer {
  const parts = values.map((value) => (typeof value === 'string' ? Buffer.from(value, 'latin1') : value));
  return Buffer.concat(parts.flatMap((part) => [uint32(part.length), part]));
}

/** The name that a key over the wire begins with (RFC 4253, section 6.6): `ssh-ed25519`; '' where there is none. */
export function typeOfKey(key: Buffer): string {
  try {
    return new Fields(key).text();
  } catch {
    return '';
  }
}
