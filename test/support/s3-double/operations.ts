/** The operations of the S3 API that the double knows, on its store. */

import type { DoubleRequest } from '../s3-double.ts';
import { document, element, Refusal } from './refusal.ts';
import type { Store, StoredObject } from './store.ts';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | string;
}

export interface Circumstances {
  /** IAM actions. */
  readonly denied: ReadonlySet<string>;
  readonly nowMs: number;
}

type Operation = (store: Store, request: DoubleRequest, nowMs: number) => Answer;

/**
 * What a policy must allow for an operation; `s3:PutObject` where nothing is said.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
 */
const ACTIONS: Readonly<Record<string, readonly string[]>> = {
  ListObjectsV2: ['s3:ListBucket'],
  ListMultipartUploads: ['s3:ListBucketMultipartUploads'],
  ListParts: ['s3:ListMultipartUploadParts'],
  AbortMultipartUpload: ['s3:AbortMultipartUpload'],
  GetObject: ['s3:GetObject'],
  HeadObject: ['s3:GetObject'],
  DeleteObject: ['s3:DeleteObject'],
  CopyObject: ['s3:PutObject', 's3:GetObject'],
  UploadPartCopy: ['s3:PutObject', 's3:GetObject'],
};
const PUT = ['s3:PutObject'];

export const IAM_ACTIONS: ReadonlySet<string> = new Set([...Object.values(ACTIONS).flat(), ...PUT]);

/** @throws Refusal */
export function answer(store: Store, request: DoubleRequest, { denied, nowMs }: Circumstances): Answer {
  const { operation, key } = request;
  const missing = (ACTIONS[operation] ?? PUT).find((action) => denied.has(action));
  if (missing !== undefined) throw deniedFor(missing, key);
  const work = OPERATIONS[operation];
  if (work === undefined) throw new Refusal(501, 'NotImplemented', `${operation} is not implemented`);
  try {
    return work(store, request, nowMs);
  } catch (error) {
    // Whoever may not list is not told what is not there.
    const isMissing = error instanceof Refusal && error.code === 'NoSuchKey';
    throw isMissing && denied.has('s3:ListBucket') ? deniedFor('s3:ListBucket', key) : error;
  }
}

function deniedFor(action: string, key: string): Refusal {
  const what = `arn:aws:s3:::double-bucket${key === '' ? '' : `/${key}`}`;
  const message = `User: arn:aws:iam::123456789012:user/ferry is not authorized to perform: ${action} on resource: "${what}" because no identity-based policy allows the ${action} action`;
  return new Refusal(403, 'AccessDenied', message);
}

const OPERATIONS: Readonly<Record<string, Operation>> = {
  PutObject: (store, { key, headers, body }, nowMs) => {
    unlessTaken(store, key, headers);
    const object = store.put(key, {
      body,
      checksums: checksumsOf(headers),
      headers: keptOf(headers),
      modifiedMs: nowMs,
    });
    return { status: 200, headers: { ...tagsOf(object), ...object.checksums }, body: '' };
  },
  CopyObject: (store, { key, headers }, nowMs) => {
    const from = copySource(store, headers);
    unlessTaken(store, key, headers);
    const object = store.put(key, {
      ...from,
      headers: headers['x-amz-metadata-directive'] === 'REPLACE' ? keptOf(headers) : from.headers,
      modifiedMs: nowMs,
    });
    return xml('CopyObjectResult', { ETag: object.etag, LastModified: iso(nowMs) });
  },
  GetObject: (store, { key, headers }) => {
    const object = store.get(key);
    ifMatch(object, headers);
    const range = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '');
    if (range === null) return { status: 200, headers: objectHeaders(object), body: object.body };
    const part = object.body.subarray(Number(range[1]), Number(range[2]) + 1);
    return {
      status: 206,
      headers: { ...objectHeaders(object), 'content-length': String(part.length) },
      body: part,
    };
  },
  HeadObject: (store, { key, headers }) => {
    const object = store.get(key);
    ifMatch(object, headers);
    const checksums = headers['x-amz-checksum-mode'] === 'ENABLED' ? object.checksums : {};
    return { status: 200, headers: { ...objectHeaders(object), ...checksums }, body: '' };
  },
  DeleteObject: (store, { key, headers }) => {
    if (headers['if-match'] !== undefined) ifMatch(store.get(key), headers);
    store.objects.delete(key);
    return { status: 204, headers: {}, body: '' };
  },
  ListObjectsV2: (store, { query }) => listObjects(store, query),
  CreateMultipartUpload: (store, { key, headers }, nowMs) => {
    const algorithm = headers['x-amz-checksum-algorithm'];
    const { id } = store.start({ key, startedMs: nowMs, algorithm, headers: keptOf(headers) });
    return xml('InitiateMultipartUploadResult', { Key: key, UploadId: id });
  },
  UploadPart: (store, { key, query, headers, body }) => {
    const upload = store.upload(query.get('uploadId') ?? '', key);
    const { etag } = store.putPart(
      upload,
      Number(query.get('partNumber')),
      body,
      headers['x-amz-checksum-sha256'],
    );
    return { status: 200, headers: { etag, ...checksumsOf(headers) }, body: '' };
  },
  UploadPartCopy: (store, { key, query, headers }) => {
    const upload = store.upload(query.get('uploadId') ?? '', key);
    const { body } = copySource(store, headers);
    const range = /^bytes=(\d+)-(\d+)$/.exec(headers['x-amz-copy-source-range'] ?? '');
    const part = range === null ? body : body.subarray(Number(range[1]), Number(range[2]) + 1);
    const { etag } = store.putPart(upload, Number(query.get('partNumber')), part, undefined);
    return xml('CopyPartResult', { ETag: etag });
  },
  CompleteMultipartUpload: (store, { key, query, headers, body }, nowMs) => {
    const upload = store.upload(query.get('uploadId') ?? '', key);
    unlessTaken(store, key, headers);
    const object = store.complete(upload, listedParts(body.toString()), nowMs);
    const ChecksumSHA256 = object.checksums['x-amz-checksum-sha256'];
    return {
      ...xml('CompleteMultipartUploadResult', { Key: key, ETag: object.etag, ChecksumSHA256 }),
      headers: tagsOf(object),
    };
  },
  AbortMultipartUpload: (store, { key, query }) => {
    store.uploads.delete(store.upload(query.get('uploadId') ?? '', key).id);
    return { status: 204, headers: {}, body: '' };
  },
  ListParts: (store, { key, query }) => {
    const upload = store.upload(query.get('uploadId') ?? '', key);
    const after = Number(query.get('part-number-marker') ?? 0);
    const parts = [...upload.parts].sort(([a], [b]) => a - b).filter(([number]) => number > after);
    const shown = parts.slice(0, 2); // few, so that there are several pages
    const Part = shown.map(([PartNumber, { body, etag, sha256 }]) => ({
      PartNumber,
      ETag: etag,
      Size: body.length,
      ChecksumSHA256: sha256,
    }));
    return xml('ListPartsResult', {
      IsTruncated: parts.length > shown.length,
      NextPartNumberMarker: shown.at(-1)?.[0],
      Part,
    });
  },
  ListMultipartUploads: (store, { query }) => {
    const prefix = query.get('prefix') ?? '';
    const uploads = [...store.uploads.values()].filter(({ key }) => key.startsWith(prefix));
    return xml('ListMultipartUploadsResult', {
      IsTruncated: false,
      Upload: uploads.map(({ id, key, startedMs }) => ({
        Key: key,
        UploadId: id,
        Initiated: iso(startedMs),
      })),
    });
  },
};

function listObjects(store: Store, query: URLSearchParams): Answer {
  const prefix = query.get('prefix') ?? '';
  const delimiter = query.get('delimiter') ?? '';
  const after = query.get('continuation-token') ?? query.get('start-after') ?? '';
  const most = Number(query.get('max-keys') ?? 1000);
  const encodes = store.encodesKeys && query.get('encoding-type') === 'url';
  const encode = encodes
    ? (text: string) => encodeURIComponent(text).replaceAll('%20', '+').replaceAll('%2F', '/')
    : (text: string) => text;
  const keys = [...store.objects.keys()].filter(
    (key) => key.startsWith(prefix) && Buffer.compare(Buffer.from(key), Buffer.from(after)) > 0,
  );
  keys.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const folderOf = (key: string): string | undefined => {
    const slash = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
    return slash < 0 ? undefined : key.slice(0, slash + 1);
  };
  const page = keys.slice(0, most);
  const contents = page.filter((key) => folderOf(key) === undefined);
  const folders = new Set(page.flatMap((key) => folderOf(key) ?? []));
  return xml('ListBucketResult', {
    EncodingType: encodes ? 'url' : undefined,
    IsTruncated: keys.length > page.length,
    NextContinuationToken: keys.length > page.length ? page.at(-1) : undefined,
    KeyCount: page.length,
    Contents: contents.map((key) => {
      const { etag, body, modifiedMs } = store.get(key);
      return { Key: encode(key), LastModified: iso(modifiedMs), ETag: etag, Size: body.length };
    }),
    CommonPrefixes: [...folders].map((folder) => ({ Prefix: encode(folder) })),
  });
}

function listedParts(body: string) {
  const field = (part: string, name: string): string | undefined =>
    new RegExp(`<${name}>([^<]*)</${name}>`)
      .exec(part)?.[1]
      ?.replaceAll('&quot;', '"')
      .replaceAll('&#34;', '"');
  return [...body.matchAll(/<Part>(.*?)<\/Part>/gs)].map(([, part = '']) => ({
    number: Number(field(part, 'PartNumber')),
    etag: field(part, 'ETag') ?? '',
    sha256: field(part, 'ChecksumSHA256'),
  }));
}

function unlessTaken(store: Store, key: string, headers: Readonly<Record<string, string>>): void {
  if (headers['if-none-match'] !== '*' || !store.objects.has(key)) return;
  const message = 'At least one of the pre-conditions you specified did not hold';
  throw new Refusal(412, 'PreconditionFailed', message, { Condition: 'If-None-Match' });
}

function ifMatch(object: StoredObject, headers: Readonly<Record<string, string>>): void {
  const wanted = headers['if-match'];
  if (wanted === undefined || wanted === object.etag) return;
  throw new Refusal(
    412,
    'PreconditionFailed',
    'At least one of the pre-conditions you specified did not hold',
  );
}

function copySource(store: Store, headers: Readonly<Record<string, string>>): StoredObject {
  const [, ...key] = (headers['x-amz-copy-source'] ?? '').split('/');
  const object = store.get(key.map(decodeURIComponent).join('/'));
  const wanted = headers['x-amz-copy-source-if-match'];
  if (wanted === undefined || wanted === object.etag) return object;
  throw new Refusal(
    412,
    'PreconditionFailed',
    'At least one of the pre-conditions you specified did not hold',
  );
}

function checksumsOf(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const names = Object.keys(headers).filter((name) =>
    /^x-amz-checksum-(sha256|sha1|crc32|crc32c|crc64nvme)$/.test(name),
  );
  return Object.fromEntries(names.map((name) => [name, headers[name] ?? '']));
}

function keptOf(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const kept = /^x-amz-(meta-|storage-class$|server-side-encryption)|^content-type$/;
  return Object.fromEntries(Object.entries(headers).filter(([name]) => kept.test(name)));
}

function objectHeaders(object: StoredObject): Readonly<Record<string, string>> {
  return {
    ...object.headers,
    ...tagsOf(object),
    'content-length': String(object.body.length),
    'last-modified': new Date(object.modifiedMs).toUTCString(),
  };
}

function tagsOf({ etag, versionId }: StoredObject): Readonly<Record<string, string>> {
  return { etag, ...(versionId === undefined ? {} : { 'x-amz-version-id': versionId }) };
}

function xml(root: string, fields: Parameters<typeof element>[0]): Answer {
  return {
    status: 200,
    headers: { 'content-type': 'application/xml' },
    body: document(root, element(fields)),
  };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
