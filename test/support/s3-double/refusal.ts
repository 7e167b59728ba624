/** An answer of S3 that is an error, and the XML it comes in. */

export class Refusal extends Error {
  readonly status: number;
  readonly code: string;
  readonly fields: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    code: string,
    message: string,
    fields: Readonly<Record<string, string>> = {},
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
    this.status = status;
    this.code = code;
    this.fields = fields;
    this.headers = headers;
  }

  get xml(): string {
    return document(
      'Error',
      element({ Code: this.code, Message: this.message, ...this.fields, RequestId: 'DOUBLE' }),
    );
  }
}

export type Xml = string | number | boolean | undefined | readonly Xml[] | { readonly [name: string]: Xml };

/** An array becomes one element for each item; undefined becomes nothing. */
export function element(fields: { readonly [name: string]: Xml }): string {
  return Object.entries(fields)
    .flatMap(([name, value]) => (Array.isArray(value) ? value : [value]).map((each: Xml) => one(name, each)))
    .join('');
}

function one(name: string, value: Xml): string {
  if (value === undefined) return '';
  if (typeof value === 'object' && !Array.isArray(value))
    return `<${name}>${element(value as { readonly [name: string]: Xml })}</${name}>`;
  const text = String(value).replace(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`);
  return `<${name}>${text}</${name}>`;
}

export function document(root: string, inner: string): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${root}>${inner}</${root}>`;
}
