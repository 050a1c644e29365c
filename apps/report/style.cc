#include "apps/report/sections.h"

namespace pocketune::report {

// Hues are of Okabe and Ito's palette, which colour-blind people tell apart; lines also differ in
// dashes, shades in lightness. A dark screen turns the shades round.
const char kStyle[] = R"(
:root { color-scheme: light dark; --bg: #faf9f6; --card: #fff; --ink: #1c2128; --soft: #5d6672;
  --rule: #e4e1da; --blue: #0072b2; --sky: #9ccdea; --orange: #e69f00; --red: #d55e00;
  --green: #009e73; --grey: #a3a8ae; --empty: #ebe8e1; --edge: #c9c4b9; --tint: 0, 114, 178; --err: 230, 140, 0;
  --s0: #d0ead2; --s1: #a5d8b4; --s2: #64bd98; --s3: #2a9d8f; --s4: #1f6f8b; --s5: #213a70; }
@media (prefers-color-scheme: dark) { :root { --bg: #14171b; --card: #1c2026; --ink: #e9e7e2;
  --soft: #9ba4af; --rule: #30363e; --blue: #3d9bd6; --sky: #2b5874; --red: #f0793a;
  --orange: #e6a417; --green: #2bbf95; --grey: #6d747d; --empty: #2c3138; --edge: #4a525c; --tint: 61, 155, 214;
  --err: 230, 150, 20;
  --s0: #37525f; --s1: #2b6b7d; --s2: #2f8b8f; --s3: #46ad92; --s4: #93d48f; --s5: #eef3a0; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--bg); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  -webkit-text-size-adjust: 100%; }
main { max-width: 1080px; margin: 0 auto; padding: 32px 24px 48px; }
p { margin: 0; } h1, h2, h3 { margin: 0; line-height: 1.2; }
code, pre { font: 0.92em ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
header { display: flex; flex-wrap: wrap; gap: 16px 48px; justify-content: space-between;
  align-items: flex-end; margin-bottom: 24px; }
h1 { font-size: 34px; letter-spacing: -0.02em; margin: 2px 0 8px; overflow-wrap: anywhere; }
header p, .card p, .note { color: var(--soft); } header code { color: var(--ink); }
.brand { font-weight: 700; color: var(--blue); letter-spacing: 0.02em; }
header .brand { color: var(--blue); }
.score { text-align: right; }
.score b { font-size: 76px; line-height: 1; letter-spacing: -0.04em; color: var(--blue); }
.cards { display: grid; grid-template-columns: repeat(4, 1fr); gap: 14px; }
.card, section { background: var(--card); border: 1px solid var(--rule); border-radius: 12px; }
.card { padding: 14px 16px; } .card p { font-size: 13px; }
.card h3, figure h3, section h3 { font-size: 13px; font-weight: 600; color: var(--soft); }
.card b { display: block; font-size: 27px; line-height: 1.35; letter-spacing: -0.02em; }
section { padding: 20px 22px 22px; margin-top: 18px; }
h2 { font-size: 20px; letter-spacing: -0.01em; margin-bottom: 6px; }
section > h3 { margin: 18px 0 6px; } .note { max-width: 48em; margin-bottom: 12px; }
.meter { height: 6px; border-radius: 3px; background: var(--empty); margin: 3px 0; }
.meter i { display: block; height: 100%; min-width: 2px; border-radius: 3px; background: var(--k); }
.card .meter:first-of-type { margin-top: 6px; } .card .meter:last-of-type { margin-bottom: 8px; }
.measured, .learn, .backward, .val, .kept, .right { --k: var(--blue); }
.predicted, .forward, .scratch { --k: var(--grey); } .short { --k: var(--sky); }
.grad, .wrong, .train { --k: var(--orange); } .acc { --k: var(--green); }
.live { --k: var(--ink); } .bound { --k: var(--red); } .turn { --k: var(--soft); }
.shade0 { --k: var(--s0); } .shade1 { --k: var(--s1); }
.shade2 { --k: var(--s2); } .shade3 { --k: var(--s3); } .shade4 { --k: var(--s4); }
.shade5 { --k: var(--s5); }
.legend { display: flex; flex-wrap: wrap; gap: 2px 16px; font-size: 13px; color: var(--soft);
  margin-bottom: 10px; }
.key i { display: inline-block; width: 11px; height: 11px; border-radius: 2px; margin-right: 6px;
  background: var(--k); vertical-align: -1px; }
.key.line i, .key.train i, .key.val i, .key.acc i { height: 0; width: 18px; border-radius: 0;
  background: none; border-top: 2.5px solid var(--k); vertical-align: 4px; }
.key.bound i, .key.train i { border-top-style: dashed; }
.key.turn i { border-top-style: dotted; }
.charts { display: grid; grid-template-columns: 1fr 1fr; gap: 28px; }
.charts figure:only-child { grid-column: 1 / 3; }
figure { margin: 0; min-width: 0; }
figcaption { display: flex; flex-wrap: wrap; gap: 0 18px; justify-content: space-between; }
.plot { display: grid; grid-template-columns: 58px 1fr; }
.plot svg { display: block; width: 100%; height: 230px; overflow: visible; }
.plot.memory svg { height: 420px; border-bottom: 1px solid var(--soft); }
.ylabels, .xlabels { position: relative; font-size: 12px; color: var(--soft);
  font-variant-numeric: tabular-nums; white-space: nowrap; }
.ylabels span { position: absolute; right: 8px; transform: translateY(-50%); }
.xlabels { grid-column: 2; height: 22px; }
.xlabels span { position: absolute; top: 4px; transform: translateX(-50%); }
.xtitle { grid-column: 2; text-align: center; font-size: 12px; color: var(--soft); }
svg path { fill: none; vector-effect: non-scaling-stroke; }
.grid { stroke: var(--rule); stroke-width: 1; }
svg .line { stroke: var(--k); stroke-width: 2.2; stroke-linejoin: round; }
svg .dot { stroke: var(--k); stroke-width: 7; stroke-linecap: round; }
svg .line.train { stroke-dasharray: 6 4; } svg .line.live { stroke-width: 1.6; }
svg .line.bound { stroke-dasharray: 7 4; stroke-width: 1.6; }
svg .line.turn { stroke-dasharray: 2 4; stroke-width: 1.4; }
svg g { fill: var(--k); } rect { stroke: var(--card); stroke-width: 0.5; stroke-opacity: 0.7;
  vector-effect: non-scaling-stroke; }
rect:hover { stroke: var(--ink); stroke-width: 2; stroke-opacity: 1; }
ol { list-style: none; margin: 0; padding: 0; font-size: 13px; }
.peak li, .pairs li { display: grid; grid-template-columns: minmax(0, 26em) 1fr 8.5em; gap: 12px;
  align-items: center; padding: 1px 0; }
.peak li > span:last-child, .pairs li > span:last-child { text-align: right;
  font-variant-numeric: tabular-nums; color: var(--soft); }
.peak .key { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.pairs li > span:first-child { overflow-wrap: anywhere; }
.layers { columns: 2; column-gap: 36px; }
.layers li { display: grid; grid-template-columns: 11.5em 1fr 4.2em 4.2em; gap: 8px;
  align-items: center; break-inside: avoid; line-height: 1.35; }
.layers code { font-size: 11.5px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.layers li > span { text-align: right; font-size: 12px; color: var(--soft);
  font-variant-numeric: tabular-nums; white-space: nowrap; }
.strip { height: 11px; border-radius: 2px; box-shadow: inset 0 0 0 1px var(--edge);
  overflow: hidden; }
.key.frozen i { background: none; box-shadow: inset 0 0 0 1px var(--edge); }
.strip i { display: block; height: 100%; min-width: 4px; background: var(--k); }
.matrix { display: flex; flex-wrap: wrap; gap: 20px 40px; align-items: flex-end; }
.matrix > div { min-width: 0; max-width: 100%; } .matrix > div:last-child { flex: 1 1 300px; }
.matrix h3 { margin-bottom: 6px; } .matrix .pairs li { grid-template-columns: 1fr 70px 7em; }
.scroll { overflow-x: auto; }
table { border-collapse: separate; border-spacing: 2px; font-size: 12.5px;
  font-variant-numeric: tabular-nums; }
th { font-weight: 500; color: var(--soft); text-align: right; padding: 0 6px; white-space: nowrap;
  max-width: 14em; overflow: hidden; text-overflow: ellipsis; }
th.turned { vertical-align: bottom; padding: 4px 0; }
th.turned span { writing-mode: vertical-rl; transform: rotate(180deg); max-height: 11em;
  overflow: hidden; display: inline-block; text-align: left; width: 100%; }
table td { min-width: 38px; height: 30px; text-align: center; border-radius: 4px;
  background: var(--bg); }
table tr:first-child td { background: none; }
table td.right { background: rgba(var(--tint), var(--a)); }
table td.wrong { background: rgba(var(--err), var(--a)); }
td.right.full { color: #fff; } td.wrong.full { color: #201400; }
dl { margin: 0; columns: 3; column-gap: 36px; font-size: 13px; }
dl div { display: flex; justify-content: space-between; gap: 12px; break-inside: avoid;
  padding: 3px 0; border-bottom: 1px solid var(--rule); }
dt { color: var(--soft); } dd { margin: 0; text-align: right; overflow-wrap: anywhere; }
footer { margin-top: 22px; color: var(--soft); font-size: 13px; }
pre { background: var(--card); border: 1px solid var(--rule); border-radius: 8px; color: var(--ink);
  padding: 10px 14px; white-space: pre-wrap; overflow-wrap: anywhere; margin: 6px 0 14px; }
@media (max-width: 760px) { main { padding: 20px 12px 32px; } .charts { grid-template-columns: 1fr; }
  .charts figure:only-child { grid-column: auto; }
  .cards { grid-template-columns: 1fr 1fr; gap: 10px; } .card { padding: 12px; }
  .card b { font-size: 23px; } section { padding: 16px 14px; } .layers { columns: 1; }
  dl { columns: 1; } .score { text-align: left; } .score b { font-size: 64px; }
  h1 { font-size: 28px; } .plot.memory svg { height: 320px; }
  .layers li { grid-template-columns: minmax(0, 12em) 1fr 3.7em 3.7em; gap: 5px; }
  .layers code { font-size: 10.5px; }
  .matrix { gap: 18px; } th { max-width: 8em; }
  table td { min-width: 32px; }
  .peak li, .pairs li { grid-template-columns: minmax(0, 12em) 1fr 6.5em; gap: 8px; } }
@media print { :root { --bg: #fff; } main { max-width: none; padding: 0; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  .card, figure, .plot, tr, li { break-inside: avoid; } h2 { break-after: avoid; } }
)";

}  // namespace pocketune::report
