import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { html } from '../../src/web/html.ts';
import { statusPage } from '../../src/web/page.ts';
import { troublesOf } from '../../src/web/troubles.ts';
import { busy, calm } from './examples.ts';

/** What a person reads, piece by piece. */
function textOf(page: string): string {
  return page
    .replace(/<(style|script)[\s\S]*?<\/\1>/g, '')
    .replace(/<[^>]*>/g, ' ')
    .replaceAll('&lt;', '<')
    .replaceAll('&quot;', '"')
    .replaceAll('&amp;', '&')
    .replace(/\s+/g, ' ');
}

describe('the status page', () => {
  test('says at once that all is well', () => {
    const page = statusPage(calm);
    const text = textOf(page);
    assert.match(text, /^ Ferry · tokyo-1 All well Ferry on tokyo-1/);
    assert.match(text, /Delivered 18,204 the last 1 min ago/);
    assert.match(
      text,
      /2026-11\/invoice-1200\.csv → app-server:\/srv\/inbox\/2026-11\/invoice-1200\.csv 18 KiB 0a5f0a5f0a5f/,
    );
    assert.ok(!text.includes('To do'));
  });

  test('says what is wrong and what to do, the gravest first', () => {
    const titles = troublesOf(busy).map(({ title, grave }) => `${grave ? '!' : ' '} ${title}`);
    assert.deepEqual(titles, [
      '! The source of photos',
      '! partner has been stopped for 2 h 5 min',
      '! invoices: 3 files could not be delivered to app-server',
      '! invoices: 1 file could not be delivered to app-server',
      '  archive has been held for 1 min 35 s',
      '  Not ready',
    ]);
    const text = textOf(statusPage(busy));
    for (const said of [
      '(6) Ferry · tokyo-1',
      '6 things to look at',
      'ferry trust partner',
      'ferry retry --job invoices',
      'ferry retry 4',
      'the next try is in 21 s',
      'Redis does not answer',
      '7 under way',
    ]) {
      assert.ok(text.includes(said), said);
    }
    assert.match(text, /2026-11\/export-full\.tar → app-server 2\.0 GiB of 2\.9 GiB 42 s/);
  });

  test('does not show the same reason twice, and shows one that nothing else explains', () => {
    const ill = { ...calm, health: { live: false, ready: false, reasons: ['the ledger cannot be written'] } };
    assert.deepEqual(
      troublesOf(ill).map(({ title, message }) => `${title}: ${message}`),
      ['Not working: the ledger cannot be written'],
    );
    assert.ok(!troublesOf(busy).some(({ message }) => message === 'the endpoint partner is stopped'));
  });

  test('tells of failures that are too many to show', () => {
    const [job] = calm.jobs;
    assert.ok(job !== undefined);
    const troubles = troublesOf({
      ...busy,
      jobs: [{ ...job, failed: 5_000 }],
      endpoints: [],
      health: calm.health,
    });
    assert.deepEqual(troubles.at(-1)?.title, 'invoices: 4,996 more files failed');
  });

  test('is not taken in by names', () => {
    const page = statusPage(busy);
    assert.ok(!page.includes('<script>alert'));
    assert.ok(page.includes('&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;\\n.csv'));
    assert.ok(page.includes('name-&quot;quoted&quot;&amp;.csv'));
    const tags = [...page.matchAll(/<(script|style)\b[^>]*>/g)].map(([tag]) => tag);
    assert.deepEqual(tags, ['<style>', '<script>']);
    assert.doesNotMatch(page, /\son\w+=|javascript:|https?:\/\/(?!www\.w3\.org)/);
  });

  test('an empty Ferry says how to begin', () => {
    assert.match(
      textOf(statusPage({ ...calm, jobs: [], endpoints: [], recent: [] })),
      /None yet\. ferry init writes a first one/,
    );
  });
});

test('templates escape what is put into them, at any depth, and nothing twice', () => {
  const inner = html`<b>${'<&>'}</b>`;
  assert.equal(
    html`<p title="${'"\''}">${[inner, ' & ', 3, false, undefined]}\u202e</p>`.text,
    '<p title="&quot;&#39;"><b>&lt;&amp;&gt;</b> &amp; 3\u202e</p>',
  );
  assert.equal(html`${'a\u202eb\u0000'}`.text, 'a\\u202eb\\x00');
});
