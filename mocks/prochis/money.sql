-- What 江湾 does with money: the waiting bills, the settlement in two phases, refunds by bill and line.

-- A settlement that was begun and not confirmed in time is taken back.
create or replace view his_begun as
select * from jz where zt = '2' and yxsj > his_now();

-- ZFZT 1: somebody is paying it.
create or replace function his_waitingpay(i xml, out answer xml, out effect text) language sql as $$
  select xmlelement(name "FYLIST", (
    select xmlagg(xmlelement(name "FY", xmlforest(a.no as "NO", a.wbdh as "WBDH", his_time(a.kdsj) as "KDSJ", a.ks as "KDKS", a.ys as "YS", '0' as "SFGH",
             case when exists (select 1 from his_begun b where a.no = any(string_to_array(b.nos, ',')) or a.wbdh = any(string_to_array(b.nos, ','))) then '1' else '0' end as "ZFZT"),
             xmlelement(name "FMLIST", (
               select xmlagg(xmlelement(name "FM", xmlforest(f.fm as "MC"), xmlelement(name "MXLIST", f.mx)) order by f.fm desc)
                 from (select case when m.xmid like 'Y%' or a.zllb in ('5', '6', '7') then case a.zllb when '7' then '中草药费' when '6' then '中成药费' else '西药费' end
                                   when a.zllb = 'C' then '检验费' else '检查费' end as fm,
                              xmlagg(xmlelement(name "MX", xmlforest(m.xh as "XH", m.xmid as "XMID", m.xmmc as "XMMC", m.gg as "GG", m.dw as "DW", m.sl as "SL", m.dj as "DJ",
                                m.je as "YSJE", m.je as "SSJE")) order by m.xh) as mx
                         from yzmx m where m.yzid = a.id group by 1) f))) order by a.id)
      from yz a, xmltable('/IN' passing i columns ghdh text path 'GHDH', brid text path 'BRID') q
     where a.zt = '1' and coalesce(q.ghdh, '') in ('', a.ghdh) and coalesce(q.brid, '') in ('', a.brid))), 'asked'
$$;

-- his_payable refuses bills that cannot be paid by this order. Bills that it does not know it takes.
create or replace function his_payable(p_nos text, p_zy text) returns void language plpgsql as $$
declare
  bill text; a yz;
begin
  foreach bill in array string_to_array(p_nos, ',') loop
    a := his_advice(bill);
    if a.zt = '9' then perform his_refuse('单据' || bill || '已经作废'); end if;
    if a.zt in ('2', '4', '5') and his_option('repeats') <> 'double' then perform his_refuse('单据' || bill || '已经收费'); end if;
    if exists (select 1 from his_begun b where b.zy <> p_zy and bill = any(string_to_array(b.nos, ','))) then perform his_refuse('单据' || bill || '正在支付'); end if;
  end loop;
end $$;

create or replace function his_book(p_id bigint) returns jz language plpgsql as $$
declare
  s jz;
begin
  update jz set zt = '1', sj = his_now() where id = p_id returning * into s;
  if s.sfgh = '1' then
    update gh set zt = 'paid' where wbdh = s.zy and zt = 'booked';
  else
    update yz set zt = '2' where zt = '1' and (no = any(string_to_array(s.nos, ',')) or wbdh = any(string_to_array(s.nos, ',')));
  end if;
  return s;
end $$;

-- JSMS 0 settles at once; JSMS 1 in two phases: CZLX 0 begins and gives the JZID, 1 confirms it, 2 takes it back.
create or replace function his_payment(i xml, out answer xml, out effect text) language plpgsql as $$
declare
  q record; held jz; s jz; g gh;
begin
  select * into q from xmltable('/IN' passing i columns no text path 'NO', je numeric path 'JE', jsms text path 'JSMS', czlx text path 'CZLX', jzid text path 'JZID',
    sfgh text path 'SFGH', czy text path 'CZYBH', jskl text path 'JSLIST/JS[1]/JSKLB', jsje numeric path 'JSLIST/JS[1]/JSJE', jylsh text path 'JSLIST/JS[1]/JYLSH',
    jysj timestamp path 'JSLIST/JS[1]/JYSJ', zy text path 'JSLIST/JS[1]/ZY');
  effect := 'done';
  if q.jsms = '1' and q.czlx in ('1', '2') then
    select * into s from jz where jzid = q.jzid;
    if q.czlx = '2' then
      if s.zt = '1' then perform his_refuse('单据已经收费，不能撤销'); end if;
      effect := case when s.zt = '2' then 'undone' else 'already' end;
      update jz set zt = '0' where id = s.id;
      answer := xmlforest(q.jzid as "JZID", his_time(his_now()) as "CZSJ");
      return;
    end if;
    if s.id is null then perform his_refuse('结帐ID不存在'); end if;
    if s.zt = '1' then
      effect := 'already';
      answer := xmlforest(s.jzid as "JZID", his_time(s.sj) as "CZSJ", '0' as "KPBZ");
      if his_repeat(s.je, q.je) then return; end if;
      effect := 'again';
      insert into jz (jzid, zy, nos, je, jslb, jylsh, jysj, czy, sfgh, zt, sj)
      values (his_no('J'), s.zy, s.nos, q.je, s.jslb, s.jylsh, s.jysj, s.czy, s.sfgh, '1', his_now()) returning * into s;
    elsif s.zt = '0' or s.yxsj <= his_now() then
      perform his_refuse('结帐ID已失效');
    elsif s.je <> q.je then
      perform his_refuse('结算金额不符');
    end if;
    s := his_book(s.id);
    answer := xmlforest(s.jzid as "JZID", his_time(s.sj) as "CZSJ", '0' as "KPBZ");
    return;
  end if;

  if q.je is null or q.je <= 0 or q.je <> round(q.je, 2) or q.je <> q.jsje then perform his_refuse('结算金额错误'); end if;
  select * into held from jz where zy = q.zy and zt = '1' order by id limit 1;
  if held.id is not null then
    effect := 'already';
    answer := xmlforest(held.jzid as "JZID", his_time(held.sj) as "CZSJ", '0' as "KPBZ");
    if his_repeat(held.je, q.je) then return; end if;
    effect := 'again';
  end if;
  if q.sfgh = '1' then
    g := his_appointment(q.zy);
    if coalesce(g.zt, '') not in ('booked', 'paid') then perform his_refuse('没有挂号记录'); end if;
    if g.ghf <> q.je then perform his_refuse('结算金额与挂号费不符'); end if;
  else
    perform his_payable(q.no, q.zy);
  end if;
  select * into s from his_begun where zy = q.zy order by id desc limit 1;
  if s.id is null or s.je <> q.je then
    if s.id is not null then perform his_refuse('结算金额不符'); end if;
    insert into jz (jzid, zy, nos, je, jslb, jylsh, jysj, czy, sfgh, zt, yxsj, sj)
    values (his_no('J'), q.zy, coalesce(q.no, ''), q.je, q.jskl, q.jylsh, coalesce(q.jysj, his_now()), q.czy, coalesce(q.sfgh, '0'), '2', his_now() + interval '15 minutes', his_now())
    returning * into s;
  end if;
  if q.jsms = '1' then
    if effect = 'done' then effect := 'begun'; end if;
  else
    s := his_book(s.id);
  end if;
  answer := xmlforest(s.jzid as "JZID", his_time(s.sj) as "CZSJ", '0' as "KPBZ");
end $$;

-- ZT 0 taken back, 1 done, 2 begun, 3 not known; with TKDH the refund of that number.
create or replace function his_swapstaut(i xml, out answer xml, out effect text) language plpgsql as $$
declare
  q record; s jz; t tf;
begin
  if his_option('inquiry') = 'none' then perform his_refuse('-20001***未开通'); end if;
  select * into q from xmltable('/IN' passing i columns jylsh text path 'JYLSH', zy text path 'ZY', tkdh text path 'TKDH');
  effect := 'asked';
  if q.tkdh <> '' then
    select * into t from tf where tkdh = q.tkdh order by id limit 1;
    answer := case when t.id is null then xmlforest('3' as "ZT")
      else xmlforest('1' as "ZT", his_time(t.sj) as "JYSJ", t.cxid as "JYID", t.je as "JE", t.tkdh as "ZY") end;
    return;
  end if;
  select * into s from jz where q.zy <> '' and zy = q.zy or coalesce(q.zy, '') = '' and jylsh = q.jylsh order by zt = '1' desc, id desc limit 1;
  answer := case when s.id is null then xmlforest('3' as "ZT")
    else xmlforest(case when s.zt = '2' and s.yxsj <= his_now() then '0' else s.zt end as "ZT", his_time(s.sj) as "JYSJ", s.jzid as "JYID",
      case s.sfgh when '1' then '4' else '3' end as "YWLX", s.nos as "DJH", s.je as "JE", s.zy as "ZY") end;
end $$;

-- The lines that a refund names: bill, number, amount. XH lists numbers joined by commas; empty is every line of the bill.
create or replace function his_refund_lines(i xml) returns table (bill text, yzid bigint, xh int, je numeric, known boolean, gone boolean) language sql stable as $$
  select f.djh, a.id, coalesce(n.xh, m.xh), m.je, m.yzid is not null, exists (select 1 from tfmx t where t.no = a.no and t.xh = m.xh)
    from xmltable('/IN/FYLIST/FY' passing i columns djh text path 'DJH', xhs text path 'XH') f
    left join lateral his_advice(f.djh) a on true
    left join lateral (select x::int as xh from unnest(string_to_array(nullif(f.xhs, ''), ',')) x) n on true
    left join yzmx m on m.yzid = a.id and (n.xh is null or m.xh = n.xh)
$$;

create or replace function his_check_refund(i xml, p_je numeric) returns void language plpgsql as $$
declare
  l record; v_sum numeric := 0; v_any boolean := false;
begin
  for l in select * from his_refund_lines(i) loop
    if not l.known then perform his_refuse('单据' || l.bill || '没有该收费明细'); end if;
    if l.gone then perform his_refuse('单据' || l.bill || '明细' || l.xh || '已经退费'); end if;
    v_sum := v_sum + l.je; v_any := true;
  end loop;
  if v_any and v_sum <> p_je then perform his_refuse('退费明细与总额不符'); end if;
end $$;

create or replace function his_charge_delcheck(i xml, out answer xml, out effect text) language plpgsql as $$
begin
  perform his_check_refund(i, (select je from xmltable('/IN' passing i columns je numeric path 'JE')));
  answer := xmlelement(name "RESULT", 'true');
  effect := 'asked';
end $$;

-- Gives lines of bills back, or an amount of the whole settlement where no bill is named.
create or replace function his_charge_del(i xml, out answer xml, out effect text) language plpgsql as $$
declare
  q record; held tf; paid jz; t tf;
begin
  select * into q from xmltable('/IN' passing i columns je numeric path 'JE', yjzid text path 'YJZID', czy text path 'CZYBH', tkje numeric path 'TKLIST/TK[1]/TKJE',
    jylsh text path 'TKLIST/TK[1]/JYLSH', tkzy text path 'TKLIST/TK[1]/TKZY', tksj timestamp path 'TKLIST/TK[1]/TKSJ', cz text path 'CZBZ');
  effect := 'done';
  select * into held from tf where tkdh = q.tkzy order by id limit 1;
  if held.id is not null then
    effect := 'already';
    answer := xmlforest(his_time(held.sj) as "CZSJ", held.jzid as "YJZID", held.cxid as "CXID");
    if his_repeat(held.je, q.je) then return; end if;
    effect := 'again';
  end if;
  select * into paid from jz where zt = '1' and (q.yjzid <> '' and jzid = q.yjzid or coalesce(q.yjzid, '') = '' and jylsh = q.jylsh) order by id limit 1;
  if paid.id is null then perform his_refuse('没有收费记录'); end if;
  if q.je is null or q.je <= 0 or q.je <> q.tkje then perform his_refuse('退费金额错误'); end if;
  if effect = 'done' then perform his_check_refund(i, q.je); end if;
  if q.je + coalesce((select sum(je) from tf where zy = paid.zy), 0) > paid.je then perform his_refuse('退费金额超过已收金额'); end if;
  insert into tf (cxid, tkdh, jzid, zy, je, tksj, czy, sj, cz)
  values (his_no('T'), q.tkzy, paid.jzid, paid.zy, q.je, coalesce(q.tksj, his_now()), q.czy, his_now(), case q.cz when '1' then '1' else '0' end) returning * into t;
  insert into tfmx (cxid, no, xh, je) select t.cxid, (select no from yz where id = l.yzid), l.xh, l.je from his_refund_lines(i) l;
  answer := xmlforest(his_time(t.sj) as "CZSJ", t.jzid as "YJZID", t.cxid as "CXID");
end $$;
