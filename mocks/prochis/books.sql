-- his_books is everything as GET /books shows it (books.Export): amounts in fen, moments with their zone.

create or replace function his_fen(yuan numeric) returns bigint language sql immutable as $$ select round(yuan * 100)::bigint $$;

create or replace function his_at(t timestamp) returns text language sql immutable as $$ select to_char(t, 'YYYY-MM-DD"T"HH24:MI:SS.MS') || '+08:00' $$;

create or replace view his_lines as
select yzid, json_agg(json_build_object('no', xh, 'code', xmid, 'name', xmmc, 'spec', coalesce(gg, ''), 'unit', coalesce(dw, ''),
         'qty', coalesce(sl, ''), 'price', coalesce(dj, ''), 'amount_fen', his_fen(je)) order by xh) as lines
  from yzmx group by yzid;

create or replace view his_advices as
select a.id, a.zllb, json_build_object('no', a.wbdh, 'his_no', a.no, 'visit_no', coalesce(a.ghdh, ''), 'patient_id', a.brid, 'patient_no', a.brid, 'patient_name', a.xm,
         'category', a.zllb, 'amount_fen', his_fen(a.je), 'lines', l.lines, 'state', case a.zt when '2' then 'settled' when '9' then 'voided' when '5' then 'returned'
         when '4' then case when a.zllb in ('C', 'D') then 'performed' else 'dispensed' end else 'saved' end, 'at', his_at(a.sj)) as entry
  from yz a join his_lines l on l.yzid = a.id;

create or replace view his_books as
select json_build_object(
  'prescriptions', coalesce((select json_agg(entry order by id) from his_advices where zllb in ('5', '6', '7')), '[]'),
  'orders', (select json_agg(entry order by id) from his_advices where zllb in ('C', 'D')),
  'settlements', coalesce((select json_agg(json_build_object('order', j.zy, 'his_no', j.jzid, 'channel', coalesce(j.jslb, ''), 'channel_no', coalesce(j.jylsh, ''),
      'operator', coalesce(j.czy, ''), 'bills', string_to_array(nullif(j.nos, ''), ','), 'amount_fen', his_fen(j.je),
      'refunded_fen', case when j.id = (select min(k.id) from jz k where k.zy = j.zy and k.zt = '1') then his_fen(coalesce((select sum(t.je) from tf t where t.zy = j.zy), 0)) else 0 end,
      'paid_at', his_time(j.jysj), 'at', his_at(j.sj), 'registration', j.sfgh = '1') order by j.id) from jz j where j.zt = '1'), '[]'),
  'refunds', coalesce((select json_agg(json_build_object('no', t.tkdh, 'order', t.zy, 'his_no', t.cxid, 'channel_no', coalesce((select min(j.jylsh) from jz j where j.jzid = t.jzid), ''),
      'operator', coalesce(t.czy, ''), 'amount_fen', his_fen(t.je), 'refunded_at', his_time(t.tksj), 'at', his_at(t.sj), 'reversal', t.cz = '1',
      'lines', (select json_agg(json_build_object('bill', m.no, 'no', m.xh::text, 'amount_fen', his_fen(m.je)) order by m.no, m.xh) from tfmx m where m.cxid = t.cxid)) order by t.id) from tf t), '[]'),
  'voids', coalesce((select json_agg(json_build_object('no', a.wbdh, 'reason', coalesce(a.zfyy, ''), 'at', his_at(a.zfsj)) order by a.zfsj) from yz a where a.zt = '9' and a.zllb in ('5', '6', '7')), '[]'),
  'journal', coalesce((select json_agg(json_build_object('at', his_at(h.at), 'operation', h.operation, 'key', h.biz_key, 'effect', h.effect, 'fault', h.fault) order by h.id) from his_journal h), '[]'),
  'patients', (select json_agg(json_build_object('person_id', coalesce(b.ptbh, ''), 'patient_no', b.brid, 'card_no', b.kh, 'name', b.xm, 'sex', coalesce(b.xb, ''), 'birth_date', coalesce(b.csrq, ''),
      'id_type', coalesce(b.zjlx, ''), 'id_no', coalesce(b.zjh, ''), 'phone', coalesce(b.sjh, ''), 'guardian', coalesce(b.jhr, ''), 'at', his_at(b.jzsj)) order by b.id) from br b),
  'appointments', (select json_agg(json_build_object('order', g.wbdh, 'his_no', coalesce(g.ghdh, ''), 'lock_no', coalesce(g.shid, ''), 'patient_no', g.brid, 'session', g.pbid, 'place', g.hx,
      'fee_fen', his_fen(g.ghf), 'refund_no', coalesce(g.tkdh, ''), 'state', g.zt, 'until', his_at(g.yxsj), 'at', his_at(g.sj)) order by g.id) from gh g)
) as books;
