"""The style of the status pages, and the Content-Security-Policy that allows it by its hash and nothing else."""

from __future__ import annotations

import base64
import hashlib
from typing import Final

STYLE: Final = """
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--ink:#1b1f24;--soft:#5b6572;--line:#e1e5ea;
--bad:#c0262d;--badbg:#fdecec;--warn:#8a5a00;--warnbg:#fff4da;--good:#166b3a;--goodbg:#e6f5ec;--mute:#5b6572;
--mutebg:#eef1f4;--mark:#2f6fd6}
@media(prefers-color-scheme:dark){:root{--bg:#101418;--card:#181d23;--ink:#e6eaef;--soft:#9aa6b2;--line:#2a323b;
--bad:#ff8a8a;--badbg:#3a1a1d;--warn:#f2c063;--warnbg:#35290f;--good:#79d49a;--goodbg:#14301f;--mute:#9aa6b2;
--mutebg:#232a32;--mark:#7aa8ff}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,
"DejaVu Sans",sans-serif}
main,header,footer{max-width:1320px;margin:0 auto;padding:0 16px}
header{padding-top:18px;display:flex;flex-wrap:wrap;gap:6px 14px;align-items:baseline}
h1{font-size:20px;margin:0}h2{font-size:17px;margin:0}
a{color:var(--mark);text-decoration:none}a:hover{text-decoration:underline}
.soft,small{color:var(--soft);font-size:13px}
section{background:var(--card);border:1px solid var(--line);border-radius:10px;margin:14px 0;padding:12px 14px}
.top{display:flex;flex-wrap:wrap;gap:4px 12px;align-items:baseline;margin-bottom:8px}
.top .soft{margin-left:auto}
.pill{display:inline-block;border-radius:99px;padding:1px 9px;font-size:12.5px;font-weight:600;white-space:nowrap}
.bad{color:var(--bad);background:var(--badbg)}.warn{color:var(--warn);background:var(--warnbg)}
.good{color:var(--good);background:var(--goodbg)}.mute{color:var(--mute);background:var(--mutebg)}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:right;padding:7px 8px;border-top:1px solid var(--line);vertical-align:top}
th{color:var(--soft);font-size:12.5px;font-weight:600;border-top:0;vertical-align:bottom}
th.l,td.l{text-align:left}td.l{overflow-wrap:break-word;min-width:170px}td small{display:block}
td.l .pill{margin-top:3px}.scroll{overflow-x:auto}
svg{display:block;margin:2px 0 2px auto}
svg .axis{stroke:var(--line)}svg .range{stroke:var(--mark);stroke-width:3;stroke-linecap:round}
svg .point{fill:var(--ink)}svg .goal{stroke:var(--warn);stroke-dasharray:2 2}
dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 14px;margin:0}dt{color:var(--soft)}dd{margin:0}
.none{color:var(--soft);text-align:center;padding:22px 0}
@media(max-width:760px){
table,tbody,tr,td{display:block;width:100%}thead{display:none}
tr{border-top:1px solid var(--line);padding:8px 0;display:grid;grid-template-columns:1fr 1fr;gap:4px 12px}
td{border:0;padding:0;text-align:left}td.l{min-width:0}td.l{grid-column:1/-1}
td[data-label]::before{content:attr(data-label);display:block;color:var(--soft);font-size:12px}
svg{margin-left:0}.top .soft{margin-left:0;width:100%}
}
"""

_HASH: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
CONTENT_SECURITY_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
