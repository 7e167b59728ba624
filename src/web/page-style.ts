/** How the status page looks, and how it keeps itself current. */

export const STYLE = `
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--text:#1b2330;--dim:#667085;--line:#e4e7ec;--green:#22a06b;--red:#d33a2c;--amber:#d98a00;--blue:#2b6cdf;--redbg:#fdf0ee;--amberbg:#fdf6e7;--code:#f0f2f5}
@media (prefers-color-scheme:dark){:root{--bg:#12161c;--card:#1a2029;--text:#e6e9ee;--dim:#8d98a8;--line:#2b3442;--green:#3cc48a;--red:#f2695c;--amber:#eab04a;--blue:#6aa1ff;--redbg:#2b1b1c;--amberbg:#2a2417;--code:#232b36}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--text);font:15px/1.5 system-ui,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:1180px;margin:0 auto;padding:28px 20px 48px}
h1{font-size:26px;margin:0;font-weight:650;letter-spacing:-.01em}
h2{font-size:13px;text-transform:uppercase;letter-spacing:.06em;color:var(--dim);margin:32px 0 10px;font-weight:600}
h3{font-size:15px;margin:0 0 2px;font-weight:650;overflow-wrap:anywhere}
p{margin:0}
a{color:inherit}
nav{color:var(--dim);font-size:14px}
header{display:grid;grid-template-columns:1fr auto;align-items:baseline;gap:18px}
header dl{grid-column:1/-1;display:grid;grid-template-columns:repeat(4,1fr);gap:14px;margin:0}
header dl div{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 16px}
dt{color:var(--dim);font-size:13px}
dd{margin:0;font-size:28px;font-weight:650;line-height:1.25;font-variant-numeric:tabular-nums}
small{color:var(--dim);font-size:13px}
.bad dd,td.bad{color:var(--red);font-weight:650}
.dot{display:inline-block;width:9px;height:9px;border-radius:50%;background:var(--dim);margin-right:9px;vertical-align:1px}
h1 .dot{width:14px;height:14px;margin-right:12px;vertical-align:2px}
.dot.green{background:var(--green)}
.dot.red{background:var(--red)}
.dot.amber{background:var(--amber)}
.dot.blue{background:var(--blue)}
article{border:1px solid var(--line);border-left:4px solid var(--red);background:var(--redbg);border-radius:8px;padding:12px 16px;margin-bottom:10px;overflow-wrap:anywhere}
article.passing{border-left-color:var(--amber);background:var(--amberbg)}
article .advice{margin-top:4px;font-weight:500}
article .advice::before{content:"→ "}
.command{margin-top:8px}
code{background:var(--code);border-radius:5px;padding:2px 8px;font:13px/1.6 ui-monospace,"DejaVu Sans Mono",Menlo,monospace}
table{width:100%;border-collapse:separate;border-spacing:0;background:var(--card);border:1px solid var(--line);border-radius:10px;overflow:hidden}
th,td{text-align:left;padding:9px 14px;vertical-align:top;border-top:1px solid var(--line)}
thead th,tbody:first-child tr:first-child td{border-top:0}
th{font-size:13px;color:var(--dim);font-weight:500}
.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.name{overflow-wrap:anywhere}
.dim{color:var(--dim)}
.mono{font:13px ui-monospace,"DejaVu Sans Mono",Menlo,monospace;vertical-align:middle}
.more{color:var(--dim);padding:8px 14px}
.tag{border:1px solid var(--amber);color:var(--amber);border-radius:9px;font-size:12px;padding:0 7px;font-weight:500}
.bar{width:22%;vertical-align:middle}
progress{width:100%;height:8px;accent-color:var(--blue);display:block;margin-top:6px}
footer{margin-top:36px;color:var(--dim);font-size:13px}
footer b{color:var(--red)}
@media (max-width:720px){header{grid-template-columns:1fr}header dl{grid-template-columns:repeat(2,1fr)}table{display:block;overflow-x:auto}}
`;

/** Every 3 s, while anybody looks; keeps the place that was scrolled to, and what is marked. */
export const REFRESH = `
(() => {
  const ask = async () => {
    if (document.hidden || String(getSelection()) !== '') return;
    try {
      const answer = await fetch(location.href, { signal: AbortSignal.timeout(10000) });
      if (!answer.ok) throw new Error(answer.statusText);
      const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
      document.querySelector('main').replaceWith(page.querySelector('main'));
      document.title = page.title;
      document.querySelector('link[rel=icon]').replaceWith(page.querySelector('link[rel=icon]'));
    } catch {
      document.getElementById('stale').hidden = false;
    }
  };
  setInterval(ask, 3000);
  document.addEventListener('visibilitychange', ask);
})();
`;
