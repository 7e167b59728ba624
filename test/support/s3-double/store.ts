/** What the double keeps: objects and unfinished uploads of one bucket, and what S3 says about them. */

import { hash } from 'node:crypto';
import { Refusal } from './refusal.ts';

export interface StoredObject {
  readonly body: Buffer;
  /** With its quotes. */
  readonly etag: string;
  /** `x-amz-checksum-*` by full header name. */
  readonly checksums: Readonly<Record<string, string>>;
  /** `x-amz-meta-*`, storage class, encryption, by full header name. */
  readonly headers: Readonly<Record<string, string>>;
  readonly modifiedMs: number;
  readonly versionId: string | undefined;
}

export interface StoredPart {
  readonly body: Buffer;
  readonly etag: string;
  readonly sha256: string | undefined;
}

export interface StoredUpload {
  readonly id: string;
  readonly key: string;
  readonly startedMs: number;
  /** SHA256, when the parts must come with it. */
  readonly algorithm: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly parts: Map<number, StoredPart>;
}

const SMALLEST_PART = 5 * 1024 * 1024;

export class Store {
  readonly objects = new Map<string, StoredObject>();
  readonly uploads = new Map<string, StoredUpload>();
  /** Objects get a version id. */
  versions = false;
  /** ETags are no MD5s, as with SSE-KMS. */
  kms = false;
  /** Listings encode keys when they are asked to. */
  encodesKeys = true;
  #count = 0;

  put(key: string, object: Omit<StoredObject, 'etag' | 'versionId'>, etag?: string): StoredObject {
    this.#count += 1;
    const stored = {
      ...object,
      etag: this.kms ? `"${hash('md5', `kms ${this.#count}`)}"` : (etag ?? `"${hash('md5', object.body)}"`),
      versionId: this.versions ? `version-${this.#count}` : undefined,
    };
    this.objects.set(key, stored);
    return stored;
  }

  /** @throws Refusal 404 NoSuchKey */
  get(key: string): StoredObject {
    const object = this.objects.get(key);
    if (object === undefined)
      throw new Refusal(404, 'NoSuchKey', 'The specified key does not exist.', { Key: key });
    return object;
  }

  start(upload: Omit<StoredUpload, 'id' | 'parts'>): StoredUpload {
    this.#count += 1;
    const started = { ...upload, id: `upload-${this.#count}`, parts: new Map<number, StoredPart>() };
    this.uploads.set(started.id, started);
    return started;
  }

  /** @throws Refusal 404 NoSuchUpload */
  upload(id: string, key: string): StoredUpload {
    const upload = this.uploads.get(id);
    if (upload?.key === key) return upload;
    throw new Refusal(404, 'NoSuchUpload', 'The specified multipart upload does not exist.', {
      UploadId: id,
    });
  }

  putPart(upload: StoredUpload, number: number, body: Buffer, sha256: string | undefined): StoredPart {
    if (upload.algorithm === 'SHA256' && sha256 === undefined) {
      const message =
        'Checksum Type mismatch occurred, expected checksum Type: sha256, actual checksum Type: null';
      throw new Refusal(400, 'InvalidRequest', message);
    }
    const etag = this.kms
      ? `"${hash('md5', `kms part ${this.#count} ${number}`)}"`
      : `"${hash('md5', body)}"`;
    const part = { body, etag, sha256 };
    upload.parts.set(number, part);
    return part;
  }

  /** @param listed what the request says of each part */
  complete(
    upload: StoredUpload,
    listed: readonly {
      readonly number: number;
      readonly etag: string;
      readonly sha256: string | undefined;
    }[],
    modifiedMs: number,
  ): StoredObject {
    const parts = listed.map(({ number, etag, sha256 }, index) => {
      const part = upload.parts.get(number);
      const known =
        part !== undefined &&
        part.etag === etag &&
        (upload.algorithm === undefined || part.sha256 === sha256);
      if (part === undefined || !known)
        throw new Refusal(400, 'InvalidPart', 'One or more of the specified parts could not be found.');
      if (index < listed.length - 1 && part.body.length < SMALLEST_PART) {
        throw new Refusal(
          400,
          'EntityTooSmall',
          'Your proposed upload is smaller than the minimum allowed size',
        );
      }
      return part;
    });
    const digests = Buffer.concat(parts.map((part) => Buffer.from(part.sha256 ?? '', 'base64')));
    const md5s = Buffer.concat(parts.map((part) => Buffer.from(part.etag.slice(1, -1), 'hex')));
    const checksums =
      upload.algorithm === 'SHA256'
        ? { 'x-amz-checksum-sha256': `${hash('sha256', digests, 'base64')}-${parts.length}` }
        : {};
    const body = Buffer.concat(parts.map((part) => part.body));
    this.uploads.delete(upload.id);
    return this.put(
      upload.key,
      { body, checksums, headers: upload.headers, modifiedMs },
      `"${hash('md5', md5s)}-${parts.length}"`,
    );
  }
}
