/** JSON Schemas of jobs and endpoints, for editors that complete and check YAML; made from the schemas that Ferry itself uses. */

import { z } from 'zod';
import type { Kind } from '../endpoints/index.ts';
import { isPlainObject } from './references.ts';
import { jobSchema } from './schema.ts';
import { type Filling, valuesFor } from './values.ts';

export type JsonSchema = Readonly<Record<string, unknown>>;

const DRAFT = 'http://json-schema.org/draft-07/schema#';

/** Of a file `jobs/NAME.yaml`. */
export function jobJsonSchema(): JsonSchema {
  const allowed = () => undefined;
  const schema = jobSchema({
    place: () => [],
    cron: async () => undefined,
    timezone: allowed,
    glob: allowed,
    marker: allowed,
  });
  return { $schema: DRAFT, title: 'A job of Ferry', ...toJson(schema) };
}

/** Of `jobs/endpoints.yaml`. */
export function endpointsJsonSchema(kinds: Readonly<Record<string, Kind>>): JsonSchema {
  // Only the shape of paths matters here, not where they lead.
  const values = valuesFor('/', '/');
  const entries = Object.entries(kinds).map(([name, kind]) =>
    withType(name, withFilling(toJson(kind.settings(values)), kind.filling)),
  );
  return {
    $schema: DRAFT,
    title: 'The endpoints of Ferry',
    type: 'object',
    additionalProperties: { type: 'object', required: ['type'], anyOf: entries },
  };
}

/** As it is written to a file. */
export function jsonSchemaText(schema: JsonSchema): string {
  return `${JSON.stringify(schema, undefined, 2)}\n`;
}

function toJson(schema: z.ZodType): JsonSchema {
  const { $schema: _, ...json } = z.toJSONSchema(schema, {
    io: 'input',
    target: 'draft-7',
    unrepresentable: 'any',
  });
  const out = allowReferences(json);
  return isPlainObject(out) ? out : {};
}

function withType(name: string, schema: JsonSchema): JsonSchema {
  const { properties, required, anyOf } = schema;
  if (Array.isArray(anyOf))
    return {
      ...schema,
      anyOf: anyOf.map((branch) => (isPlainObject(branch) ? withType(name, branch) : branch)),
    };
  return {
    ...schema,
    properties: { type: { const: name }, ...(isPlainObject(properties) ? properties : {}) },
    required: ['type', ...(Array.isArray(required) ? required : [])],
  };
}

/** What comes from elsewhere must be written only where that is not asked for. */
function withFilling(schema: JsonSchema, filling: Filling | undefined): JsonSchema {
  if (filling === undefined) return schema;
  const { by, gives } = filling;
  const required = Array.isArray(schema.required) ? schema.required : [];
  return {
    ...schema,
    required: required.filter((key) => !gives.includes(key)),
    if: { not: { required: [by] } },
    // biome-ignore lint/suspicious/noThenProperty: JSON Schema calls it so
    then: { required: required.filter((key) => gives.includes(key)) },
  };
}

/** Numbers and truth values may come by a reference as well. */
function allowReferences(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(allowReferences);
  if (!isPlainObject(schema)) return schema;
  const out = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, allowReferences(value)]));
  if (out.type !== 'number' && out.type !== 'integer' && out.type !== 'boolean') return out;
  const { description, default: fallback, ...rest } = out;
  return {
    ...(description === undefined ? {} : { description }),
    ...(fallback === undefined ? {} : { default: fallback }),
    anyOf: [rest, { type: 'string', pattern: '^\\$\\{(env|file):[^}]+\\}$' }],
  };
}
