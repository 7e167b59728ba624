import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endpointsJsonSchema, jobJsonSchema, jsonSchemaText } from '../../src/config/json-schema.ts';
import { kinds } from './workspace.ts';

/** Just enough of an interface to look into a schema. */
interface Schema {
  readonly type?: string;
  readonly const?: string;
  readonly description?: string;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean | Schema;
  readonly anyOf?: readonly Schema[];
  readonly pattern?: string;
}

const read = (schema: object): Schema => JSON.parse(jsonSchemaText({ ...schema }));

test('the schema of a job knows every key, what is needed, and says what each is for', () => {
  const schema = read(jobJsonSchema());
  const keys = [
    'from',
    'match',
    'ignore',
    'to',
    'when',
    'settle',
    'done',
    'after',
    'conflict',
    'verify',
    'retry',
    'order',
    'preserve',
    'history',
  ];
  assert.deepEqual(Object.keys(schema.properties ?? {}), keys);
  assert.deepEqual(schema.required, ['from', 'to']);
  assert.equal(schema.additionalProperties, false);
  const tell = (properties: Readonly<Record<string, Schema>>): void => {
    for (const [key, { description, properties: below }] of Object.entries(properties)) {
      assert.ok((description ?? '').length > 10, `${key} is not described`);
      if (below !== undefined) tell(below);
    }
  };
  tell(schema.properties ?? {});
});

test('the schema of the endpoints has a branch for each kind, told apart by its type', () => {
  const schema = read(endpointsJsonSchema(kinds));
  const entry = schema.additionalProperties;
  assert.ok(typeof entry === 'object');
  assert.deepEqual(
    entry.anyOf?.map((branch) => branch.properties?.type?.const),
    Object.keys(kinds),
  );
  const sftp = entry.anyOf?.[0];
  assert.deepEqual(sftp?.required, ['type', 'host']);
  assert.equal(sftp?.additionalProperties, false);
});

test('a number or a truth value may be written as a reference', () => {
  const schema = read(endpointsJsonSchema(kinds));
  const entry = schema.additionalProperties;
  assert.ok(typeof entry === 'object');
  for (const key of ['port', 'compress']) {
    const pattern = entry.anyOf?.[0]?.properties?.[key]?.anyOf?.[1]?.pattern;
    assert.ok(pattern !== undefined, key);
    // biome-ignore lint/suspicious/noTemplateCurlyInString: references are written so
    assert.match('${env:PORT}', new RegExp(pattern));
    assert.doesNotMatch('PORT', new RegExp(pattern));
  }
});
