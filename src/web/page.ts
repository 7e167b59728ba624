/**
 * The status page: one look tells whether all is well, what moves, what is owed, and, where something is wrong,
 * what to do. Made here, on the server; it needs nothing from elsewhere and works without scripts.
 */

import type { Moving } from '../observe/activity.ts';
import {
  formatAgo,
  formatBytes,
  formatCount,
  formatDuration,
  formatNumber,
  formatRate,
} from '../observe/format.ts';
import type { Delivery } from '../sync/delivery.ts';
import { Html, html } from './html.ts';
import type { EndpointView, JobView, Overview } from './overview.ts';
import { REFRESH, STYLE } from './page-style.ts';
import { type Trouble, troublesOf } from './troubles.ts';

const SHOWN_MOVING = 12;

export function statusPage(view: Overview): string {
  const troubles = troublesOf(view);
  const state = troubles.some((trouble) => trouble.grave) ? 'red' : troubles.length > 0 ? 'amber' : 'green';
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${troubles.length > 0 && `(${troubles.length}) `}Ferry · ${view.site}</title>
<link rel="icon" href="${icon(state)}">
<style>${new Html(STYLE)}</style>
<noscript><meta http-equiv="refresh" content="10"></noscript>
</head>
<body>
<main>
${header(view, state, troubles.length)}
${troubles.length > 0 && html`<section class="troubles"><h2>To do</h2>${troubles.map(troubleCard)}</section>`}
${moving(view)}
${jobs(view)}
${endpoints(view)}
${recent(view)}
<footer>Ferry ${view.version} on ${view.site}, ${view.queue}, running for ${formatDuration(view.nowMs - view.startedAtMs)}. As of ${time(view.nowMs)}<span id="stale" hidden> · <b>no answer: this may be old</b></span></footer>
</main>
<script>${new Html(REFRESH)}</script>
</body>
</html>
`;
  return page.text;
}

function header(view: Overview, state: State, troubles: number): Html {
  const owed = total(view.jobs, 'owed');
  const bytes = total(view.jobs, 'owedBytes');
  const busy = owed > 0 || view.moving.length > 0;
  const said =
    troubles > 0 ? `${formatCount(troubles, 'thing')} to look at` : busy ? 'All well, at work' : 'All well';
  return html`<header>
<h1><span class="dot ${state}"></span>${said}</h1>
<nav>Ferry on <b>${view.site}</b> · <a href="/queues/">queues</a> · <a href="/metrics">metrics</a> · <a href="/healthz">health</a></nav>
<dl>
${tile('Moving', formatNumber(view.moving.length), view.moving.length > 0 ? formatRate(view.rate.bytesPerSecond) : 'nothing just now')}
${tile('Owed', formatNumber(owed), owed > 0 ? formatBytes(bytes) : 'nothing waits')}
${tile('Failed', formatNumber(total(view.jobs, 'failed')), total(view.jobs, 'failed') > 0 ? 'wait for a person' : 'none', total(view.jobs, 'failed') > 0)}
${tile('Delivered', formatNumber(total(view.jobs, 'delivered')), lastDelivered(view))}
</dl>
</header>`;
}

function tile(name: string, value: string, note: string, bad = false): Html {
  return html`<div${new Html(bad ? ' class="bad"' : '')}><dt>${name}</dt><dd>${value}</dd><small>${note}</small></div>`;
}

function lastDelivered({ jobs, nowMs }: Overview): string {
  const last = Math.max(0, ...jobs.map((job) => job.lastDeliveredMs ?? 0));
  return last === 0 ? 'none yet' : `the last ${formatAgo(nowMs - last)}`;
}

function troubleCard({ title, message, advice, command, grave }: Trouble): Html {
  return html`<article class="${grave ? 'grave' : 'passing'}"><h3>${title}</h3><p>${marked(message)}</p>${
    advice !== undefined && html`<p class="advice">${marked(advice)}</p>`
  }${command !== undefined && html`<p class="command"><code>${command}</code></p>`}</article>`;
}

/** What stands between backticks is to be typed. */
function marked(text: string): readonly Html[] {
  return text.split('`').map((part, at) => (at % 2 === 1 ? html`<code>${part}</code>` : html`${part}`));
}

function moving({ moving, nowMs }: Overview): Html {
  if (moving.length === 0) return html``;
  const more = moving.length - SHOWN_MOVING;
  return html`<section><h2>Moving now</h2><table><tbody>${moving.slice(0, SHOWN_MOVING).map((one) => movingRow(one, nowMs))}</tbody></table>${
    more > 0 && html`<p class="more">and ${formatNumber(more)} more</p>`
  }</section>`;
}

function movingRow({ delivery, confirmedBytes, sinceMs }: Moving, nowMs: number): Html {
  const size = delivery.version.sizeBytes;
  return html`<tr><td class="name">${delivery.path}</td><td>→ ${delivery.endpoint}</td><td class="bar"><progress max="${Math.max(1, size)}" value="${size === 0 ? 0 : confirmedBytes}"></progress></td><td class="number">${formatBytes(confirmedBytes)} of ${formatBytes(size)}</td><td class="number dim">${formatDuration(nowMs - sinceMs)}</td></tr>`;
}

function jobs({ jobs, nowMs }: Overview): Html {
  if (jobs.length === 0)
    return html`<section><h2>Jobs</h2><p>None yet. <code>ferry init</code> writes a first one.</p></section>`;
  return html`<section><h2>Jobs</h2><table><thead><tr><th>Job</th><th>From → to</th><th>When</th><th class="number">Owed</th><th class="number">Failed</th><th class="number">Delivered</th><th>Last look</th></tr></thead><tbody>${jobs.map((job) => jobRow(job, nowMs))}</tbody></table></section>`;
}

function jobRow(job: JobView, nowMs: number): Html {
  const state =
    job.alarm !== undefined || job.failed > 0
      ? 'red'
      : job.paused
        ? 'amber'
        : job.owed > 0
          ? 'blue'
          : 'green';
  return html`<tr><td><span class="dot ${state}"></span><b>${job.name}</b>${job.paused && html` <span class="tag">paused</span>`}</td>
<td class="name">${job.from}${job.to.map((to) => html`<br>→ ${to}`)}</td><td>${job.when}</td>
<td class="number">${formatNumber(job.owed)}${job.owed > 0 && html`<br><span class="dim">${formatBytes(job.owedBytes)}</span>`}${job.underWay > 0 && html`<br><span class="dim">${formatNumber(job.underWay)} under way</span>`}</td>
<td class="number${job.failed > 0 ? ' bad' : ''}">${formatNumber(job.failed)}</td>
<td class="number">${formatNumber(job.delivered)}${job.lastDeliveredMs !== undefined && html`<br><span class="dim">${ago(job.lastDeliveredMs, nowMs)}</span>`}</td>
<td class="dim">${job.lastScanMs === undefined ? 'not yet' : ago(job.lastScanMs, nowMs)}</td></tr>`;
}

function endpoints({ endpoints, nowMs }: Overview): Html {
  if (endpoints.length === 0) return html``;
  return html`<section><h2>Endpoints</h2><table><thead><tr><th>Endpoint</th><th>Where</th><th>State</th><th class="number">Owed</th></tr></thead><tbody>${endpoints.map((one) => endpointRow(one, nowMs))}</tbody></table></section>`;
}

function endpointRow(one: EndpointView, nowMs: number): Html {
  const state = one.state === 'stopped' ? 'red' : one.state === 'held' || one.paused ? 'amber' : 'green';
  return html`<tr><td><span class="dot ${state}"></span><b>${one.name}</b></td><td class="name">${one.address}</td><td>${stateText(one, nowMs)}</td><td class="number">${formatNumber(one.owed)}</td></tr>`;
}

function stateText({ state, paused, sinceMs, nextProbeMs }: EndpointView, nowMs: number): Html {
  const words = { up: 'in use', held: 'held', stopped: 'stopped' }[state];
  const lasting = state !== 'up' && sinceMs !== undefined ? ` for ${formatDuration(nowMs - sinceMs)}` : '';
  const next =
    nextProbeMs === undefined || state !== 'held'
      ? ''
      : `, next try in ${formatDuration(Math.max(0, nextProbeMs - nowMs))}`;
  return html`${words}${lasting}${next}${paused && html` <span class="tag">paused</span>`}`;
}

function recent({ recent, nowMs }: Overview): Html {
  if (recent.length === 0) return html``;
  return html`<section><h2>Delivered last</h2><table><tbody>${recent.map((delivery) => recentRow(delivery, nowMs))}</tbody></table></section>`;
}

function recentRow(delivery: Delivery, nowMs: number): Html {
  const to = `${delivery.endpoint}:${delivery.remotePath ?? delivery.target}`;
  return html`<tr><td class="name"><span class="dot green"></span>${delivery.path}</td><td class="name">→ ${to}</td><td class="number">${formatBytes(delivery.version.sizeBytes)}</td><td class="dim mono" title="SHA-256 ${delivery.sha256 ?? 'unknown'}">${delivery.sha256?.slice(0, 12)}</td><td class="number dim">${ago(delivery.deliveredAtMs ?? delivery.updatedAtMs, nowMs)}</td></tr>`;
}

function ago(ms: number, nowMs: number): Html {
  return html`<time datetime="${new Date(ms).toISOString()}" title="${new Date(ms).toISOString()}">${formatAgo(nowMs - ms)}</time>`;
}

function time(ms: number): Html {
  const iso = new Date(ms).toISOString();
  return html`<time datetime="${iso}">${iso.slice(0, 19).replace('T', ' ')} UTC</time>`;
}

function total(jobs: readonly JobView[], what: 'owed' | 'owedBytes' | 'failed' | 'delivered'): number {
  return jobs.reduce((sum, job) => sum + job[what], 0);
}

const COLORS = { red: '%23d33a2c', amber: '%23d98a00', green: '%2322a06b' } as const;
type State = keyof typeof COLORS;

/** A dot in the tab's corner. */
function icon(state: State): Html {
  return new Html(
    `data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Ccircle cx='8' cy='8' r='7' fill='${COLORS[state]}'/%3E%3C/svg%3E`,
  );
}
