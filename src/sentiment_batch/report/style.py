"""The style sheet of the report: figures, charts, tables and cases."""

REPORT = """
header p { max-width: 46rem }
.lead { font-size: 1.15rem }
.about { color: var(--soft); font-size: .9rem }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; padding: .6rem 0; margin: 1rem 0 0;
  border-block: 1px solid var(--rule) }
nav a { display: inline-block; padding: .15rem 0 }
h3 small { font-weight: 400; color: var(--soft) }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .6rem; margin: .5rem 0 1rem }
.tiles div { background: var(--panel); border: 1px solid var(--rule); border-radius: .5rem; padding: .65rem .8rem }
@media (max-width: 40rem) { .tiles div:first-child { grid-column: 1 / -1 } }
.tiles dt { font-size: .85rem; color: var(--soft) }
.tiles dd { margin: 0 }
.tiles b { display: block; font-size: 1.6rem; font-weight: 600; line-height: 1.25; font-variant-numeric: tabular-nums }
.tiles span { font-size: .8rem; color: var(--soft); font-variant-numeric: tabular-nums }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 28rem), 1fr));
  gap: 1rem; margin: 1rem 0 }
figure { margin: 0; padding: .9rem 1rem; background: var(--panel); border: 1px solid var(--rule); border-radius: .5rem;
  min-width: 0 }
figure:has(.large) { grid-column: 1 / -1 }
figure h3 { margin: 0 0 .25rem }
figure h4 { margin: 1.2rem 0 .2rem }
figure p { font-size: .92rem; margin: 0 0 .6rem }
p.note { font-size: .82rem; color: var(--soft); margin: .4rem 0 }
svg[role=img] { display: block; height: auto; overflow: visible }
svg[role=img]:not([width]) { width: 100%; max-width: 34rem }
@media (min-width: 64rem) { .large svg { max-width: 100% } }
svg text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; fill: var(--ink);
  font-variant-numeric: tabular-nums }
@media (min-width: 40rem) { svg text { font-size: 10.5px } }
svg .mid { text-anchor: middle }
svg .end { text-anchor: end }
svg .name, svg .soft { fill: var(--soft) }
svg .strong { font-weight: 600 }
.grid { stroke: var(--grid); fill: none }
.axis { stroke: var(--soft); fill: none }
.track { fill: var(--grid) }
.s0, .s1, .s2, .s3, .s4, .s5, .chance, .kept, .whole, .range, .ring { fill: none; stroke-width: 2;
  stroke-linejoin: round; vector-effect: non-scaling-stroke }
.s0 { stroke: var(--other); stroke-width: 1; opacity: .55 }
.s1 { stroke: var(--first) }
.s2 { stroke: var(--second); stroke-dasharray: 7 4 }
.s3 { stroke: var(--third); stroke-dasharray: 2 3 }
.s4 { stroke: var(--fourth); stroke-dasharray: 10 3 2 3 }
.s5 { stroke: var(--fifth); stroke-dasharray: 4 2 }
.chance, .whole { stroke: var(--soft); stroke-width: 1.25; stroke-dasharray: 4 4 }
.kept { stroke: var(--ink); stroke-width: 1.25; stroke-dasharray: 2 3 }
.ring { stroke: var(--ink); stroke-width: 1.5 }
.range { stroke: var(--first) }
.f1 { fill: var(--first) }
.f2 { fill: var(--second) }
.dot { stroke: var(--panel); stroke-width: 1 }
.square { fill: var(--panel); stroke: var(--second); stroke-width: 1.5 }
ul.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .1rem 1rem; padding: 0; margin: 0 0 .5rem;
  font-size: .85rem }
.key { width: 28px; height: 12px; margin-right: .4rem }
details { margin-top: .5rem; font-size: .9rem }
details dt { font-weight: 600 }
details dd { margin: 0 0 .5rem; max-width: 46rem }
summary { cursor: pointer; color: var(--link); padding: .2rem 0; width: fit-content }
.scroll { overflow-x: auto; max-width: 100%; max-height: 32rem; overflow-y: auto }
.scroll:has(> svg, > .matrix) { max-height: none }
table { width: max-content; border-collapse: collapse;
  font-size: .88rem; font-variant-numeric: tabular-nums; overflow-wrap: normal }
caption { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap }
th, td { padding: .3rem .7rem .3rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--rule) }
thead th { color: var(--soft); font-weight: 600; vertical-align: bottom }
tbody th { font-weight: 500; min-width: 4.5rem; max-width: min(22rem, 40vw); overflow-wrap: anywhere }
td.n, th.n { text-align: right; white-space: nowrap }
thead th.n { white-space: normal; min-width: 4rem }
.matrix { border-spacing: 2px; border-collapse: separate }
.matrix th, .matrix td { border: 0; padding: .45rem .6rem; border-radius: .25rem }
.matrix td { text-align: right; white-space: nowrap }
.matrix th { vertical-align: middle; overflow-wrap: anywhere; min-width: 3rem; max-width: 8rem }
.matrix thead th { text-align: right }
.matrix th[scope=colgroup] { text-align: left }
.matrix tr > :first-child { padding-left: 0; text-align: left }
.matrix small { display: block; color: inherit }
.c0 { background: var(--grid) }
.r1 { background: var(--right-1); fill: var(--right-1) }
.r2 { background: var(--right-2); fill: var(--right-2) }
.r3 { background: var(--right-3); fill: var(--right-3) }
.r4 { background: var(--right-4); fill: var(--right-4) }
.w1 { background: var(--wrong-1); fill: var(--wrong-1) }
.w2 { background: var(--wrong-2); fill: var(--wrong-2) }
.w3 { background: var(--wrong-3); fill: var(--wrong-3) }
.w4 { background: var(--wrong-4); fill: var(--wrong-4) }
@media (max-width: 40rem) {
  figure { padding: .8rem .75rem }
  table { font-size: .82rem }
  th, td { padding-right: .45rem }
  thead th.n { min-width: 0 }
  .matrix th, .matrix td { padding: .35rem .4rem }
}
.cases { padding: 0; margin: .5rem 0; list-style: none; counter-reset: none }
.cases li { background: var(--panel); border: 1px solid var(--rule); border-radius: .5rem; padding: .7rem 1rem;
  margin: 0 0 .7rem }
.facts { display: flex; flex-wrap: wrap; gap: .1rem 1.25rem; margin: 0 0 .4rem; font-size: .88rem; color: var(--soft) }
.facts b { color: var(--ink) }
.text { max-width: 54rem; font-size: .95rem; overflow: clip }
.findings { padding: 0; list-style: none }
.findings li { padding: .5rem .8rem; margin: .4rem 0; border-left: 4px solid var(--rule); background: var(--panel) }
.findings .warning { border-color: var(--second); background: var(--warn) }
"""
