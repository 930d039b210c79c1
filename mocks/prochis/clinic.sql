-- What 江湾 answers about its dictionaries, patients, appointments and 医嘱.

create or replace function his_systime(i xml, out answer xml, out effect text) language sql as $$
  select xmlelement(name "XTSJ", his_time(his_now())), 'asked'
$$;

create or replace function his_getdept(i xml, out answer xml, out effect text) language sql as $$
  select xmlelement(name "KSLIST", (select xmlagg(xmlelement(name "KS", xmlforest(ksid as "KSID", ksmc as "KSMC", sjksid as "SJKSID", tybz as "TYBZ")) order by ksid) from ks)), 'asked'
$$;

create or replace function his_getdoctor(i xml, out answer xml, out effect text) language sql as $$
  select xmlelement(name "YSLIST", (
    select xmlagg(xmlelement(name "YS", xmlforest(y.ysid as "YSID", y.ysxm as "YSXM", y.ksid as "KSID", y.yszc as "YSZC")) order by y.ysid, y.ksid)
      from ys y, xmltable('/IN' passing i columns ksid text path 'KSID') q where coalesce(q.ksid, '') in ('', y.ksid))), 'asked'
$$;

create or replace function his_getdrug(i xml, out answer xml, out effect text) language sql as $$
  select xmlconcat(xmlelement(name "ZSL", (select count(*) from yp)), xmlelement(name "YPLIST", (
    select xmlagg(xmlelement(name "YP", xmlforest(p.ypid as "YPID", p.ypmc as "YPMC", p.gg as "GG", p.jx as "JX", p.dw as "DW", p.jldw as "JLDW",
             p.jlxs as "JLXS", p.dj as "DJ", p.yfid as "YFID", p.ybbm as "YBBM", p.tybz as "TYBZ")) order by p.ypid)
      from (select yp.* from yp, xmltable('/IN' passing i columns ym int path 'YM', mysl int path 'MYSL', ypid text path 'YPID') q
             where coalesce(q.ypid, '') in ('', yp.ypid) order by yp.ypid
             limit (select mysl from xmltable('/IN' passing i columns mysl int path 'MYSL'))
             offset (select (ym - 1) * mysl from xmltable('/IN' passing i columns ym int path 'YM', mysl int path 'MYSL'))) p))), 'asked'
$$;

create or replace function his_getstock(i xml, out answer xml, out effect text) language sql as $$
  select xmlelement(name "KCLIST", (
    select xmlagg(xmlelement(name "KC", xmlforest(p.ypid as "YPID", p.yfid as "YFID", p.kcsl as "KCSL", p.dw as "DW")) order by p.ypid)
      from yp p, xmltable('/IN' passing i columns ypid text path 'YPID', yfid text path 'YFID') q
     where p.tybz = '0' and coalesce(q.ypid, '') in ('', p.ypid) and coalesce(q.yfid, '') in ('', p.yfid))), 'asked'
$$;

-- A lock that ran out holds nothing.
create or replace view his_held as
select * from gh where zt in ('booked', 'paid') or zt = 'locked' and yxsj > his_now();

create or replace function his_getschedule(i xml, out answer xml, out effect text) language sql as $$
  select xmlelement(name "PBLIST", (
    select xmlagg(xmlelement(name "PB", xmlforest(b.pbid as "PBID", b.ksid as "KSID", b.ysid as "YSID", b.rq as "RQ", b.sjd as "SJD", b.kssj as "KSSJ",
             b.jssj as "JSSJ", b.hs - (select count(*) from his_held h where h.pbid = b.pbid) as "SYHS", b.ghf as "GHF", b.tzbz as "TZBZ")) order by b.rq, b.pbid)
      from pb b, xmltable('/IN' passing i columns ksid text path 'KSID', ysid text path 'YSID', ksrq text path 'KSRQ', jsrq text path 'JSRQ') q
     where coalesce(q.ksid, '') in ('', b.ksid) and coalesce(q.ysid, '') in ('', b.ysid)
       and (coalesce(q.ksrq, '') = '' or b.rq between q.ksrq and q.jsrq))), 'asked'
$$;

create or replace function his_buildpatient(i xml, out answer xml, out effect text) language plpgsql as $$
declare
  q record; held br;
begin
  select * into q from xmltable('/IN' passing i columns ptbh text path 'PTBH', xm text path 'XM', xb text path 'XB', csrq text path 'CSRQ',
    zjlx text path 'ZJLX', zjh text path 'ZJH', sjh text path 'SJH', jhr text path 'JHRZJH');
  effect := 'done';
  select * into held from br where ptbh = q.ptbh or xm = q.xm and zjlx = q.zjlx and coalesce(zjh, '') = coalesce(q.zjh, '') and coalesce(jhr, '') = coalesce(q.jhr, '') order by id limit 1;
  if held.brid is not null then
    effect := 'already';
    answer := xmlforest(held.brid as "BRID", held.kh as "KH");
    if his_repeat(0, 0, answer) then return; end if;
    effect := 'again';
  end if;
  if coalesce(q.zjh, '') = '' and coalesce(q.jhr, '') = '' then perform his_refuse('证件号不能为空'); end if;
  insert into br (brid, kh, ptbh, xm, xb, csrq, zjlx, zjh, sjh, jhr, jzsj)
  values (his_no('00'), his_no('K'), q.ptbh, q.xm, q.xb, q.csrq, q.zjlx, q.zjh, q.sjh, q.jhr, his_now()) returning * into held;
  answer := xmlforest(held.brid as "BRID", held.kh as "KH");
end $$;

create or replace function his_getpatient(i xml, out answer xml, out effect text) language sql as $$
  select xmlelement(name "BRLIST", (
    select xmlagg(xmlelement(name "BR", xmlforest(b.brid as "BRID", b.kh as "KH", b.xm as "XM", b.xb as "XB", b.csrq as "CSRQ", b.sjh as "SJH", his_time(b.jzsj) as "JZSJ")) order by b.id)
      from br b, xmltable('/IN' passing i columns ptbh text path 'PTBH', xm text path 'XM', zjlx text path 'ZJLX', zjh text path 'ZJH') q
     where q.ptbh <> '' and b.ptbh = q.ptbh or q.zjh <> '' and b.xm = q.xm and b.zjlx = q.zjlx and b.zjh = q.zjh)), 'asked'
$$;

-- The appointment of one of the caller's orders: the one that holds its place, else the newest.
create or replace function his_appointment(order_no text) returns gh language sql stable as $$
  select g.* from gh g where g.wbdh = order_no order by (g.id in (select id from his_held)) desc, g.id desc limit 1
$$;

-- his_place finds a place of a session, the first free one where none is asked for.
create or replace function his_place(p_pbid text, p_hx int, out hx int, out ghf numeric) language plpgsql as $$
declare
  b pb;
begin
  select * into b from pb where pbid = p_pbid;
  if b.pbid is null then perform his_refuse('无此排班'); end if;
  if b.tzbz = '1' then perform his_refuse('已停诊'); end if;
  if p_hx not between 1 and b.hs then perform his_refuse('无此号源'); end if;
  if exists (select 1 from his_held h where h.pbid = p_pbid and h.hx = p_hx) then perform his_refuse('号源被他人占用'); end if;
  ghf := b.ghf;
  hx := coalesce(p_hx, (select min(n) from generate_series(1, b.hs) n where not exists (select 1 from his_held h where h.pbid = p_pbid and h.hx = n)));
  if hx is null then perform his_refuse('号源已满'); end if;
end $$;

-- CZLX 0 locks a place for 15 minutes, 1 lets it go.
create or replace function his_lockno(i xml, out answer xml, out effect text) language plpgsql as $$
declare
  q record; held gh; p record;
begin
  select *, nullif(hxt, '')::int as hx into q from xmltable('/IN' passing i columns czlx text path 'CZLX', wbdh text path 'WBDH', brid text path 'BRID', pbid text path 'PBID', hxt text path 'HX');
  held := his_appointment(q.wbdh);
  effect := 'done';
  if q.czlx = '1' then
    if held.wbdh is null then perform his_refuse('没有锁号记录'); end if;
    if held.zt in ('booked', 'paid') then perform his_refuse('已挂号，不能解锁'); end if;
    if held.zt = 'released' or held.zt = 'locked' and held.yxsj <= his_now() then effect := 'already'; end if;
    update gh set zt = 'released' where id = held.id and zt = 'locked';
    answer := xmlelement(name "RESULT", 'true');
    return;
  end if;
  if held.id in (select id from his_held) then
    effect := 'already';
    answer := xmlforest('true' as "RESULT", held.shid as "SHID", held.hx as "HX");
    if his_repeat(0, 0, xmlforest(held.shid as "SHID", held.hx as "HX")) then return; end if;
    effect := 'again';
  end if;
  p := his_place(q.pbid, q.hx);
  insert into gh (wbdh, shid, brid, pbid, hx, ghf, zt, yxsj, sj)
  values (q.wbdh, his_no('L'), q.brid, q.pbid, p.hx, p.ghf, 'locked', his_now() + interval '15 minutes', his_now()) returning * into held;
  answer := xmlforest('true' as "RESULT", held.shid as "SHID", held.hx as "HX", his_time(held.yxsj) as "YXSJ");
end $$;

create or replace function his_regist(i xml, out answer xml, out effect text) language plpgsql as $$
declare
  q record; held gh; p record;
begin
  select *, nullif(hxt, '')::int as hx into q from xmltable('/IN' passing i columns wbdh text path 'WBDH', brid text path 'BRID', pbid text path 'PBID',
    hxt text path 'HX', shid text path 'SHID', ghf numeric path 'GHF');
  held := his_appointment(q.wbdh);
  effect := 'done';
  if held.zt in ('booked', 'paid') then
    effect := 'already';
    answer := xmlforest(held.ghdh as "GHDH", held.hx as "HX", held.ghf as "GHF");
    if his_repeat(held.ghf, q.ghf, answer) then return; end if;
    effect := 'again'; held := null;
  end if;
  if held.zt = 'cancelled' then perform his_refuse('预约已取消'); end if;
  if held.id is not null and held.id not in (select id from his_held) then held := null; end if;
  if effect = 'done' and coalesce(q.shid, '') <> '' and held.shid is distinct from q.shid then perform his_refuse('锁号已失效'); end if;
  if held.id is null then
    p := his_place(q.pbid, q.hx);
    insert into gh (wbdh, brid, pbid, hx, ghf, zt, sj) values (q.wbdh, q.brid, q.pbid, p.hx, p.ghf, 'locked', his_now()) returning * into held;
  end if;
  if held.ghf <> q.ghf then perform his_refuse('挂号费不符'); end if;
  update gh set zt = 'booked', ghdh = his_no('G'), brid = q.brid, sj = his_now() where id = held.id returning * into held;
  answer := xmlforest(held.ghdh as "GHDH", held.hx as "HX", held.ghf as "GHF");
end $$;

-- Lets the place go, with the whole fee if it was paid.
create or replace function his_registcancel(i xml, out answer xml, out effect text) language plpgsql as $$
declare
  q record; held gh; back text;
begin
  select * into q from xmltable('/IN' passing i columns wbdh text path 'WBDH', tkdh text path 'TKDH', je numeric path 'JE', tksj timestamp path 'TKSJ', czy text path 'CZYBH');
  held := his_appointment(q.wbdh);
  if held.ghdh is null then perform his_refuse('没有挂号记录'); end if;
  if held.zt = 'cancelled' then
    if his_option('repeats') = 'refuse' then perform his_already(); end if;
    effect := 'already';
    answer := xmlforest(his_time(his_now()) as "CZSJ", (select min(cxid) from tf where tkdh = held.tkdh) as "CXID");
    return;
  end if;
  if held.zt = 'booked' and q.je <> 0 then perform his_refuse('挂号未收费，不能退款'); end if;
  if held.zt = 'paid' then
    if q.je <> held.ghf or coalesce(q.tkdh, '') = '' then perform his_refuse('退款金额与挂号费不符'); end if;
    back := his_no('T');
    insert into tf (cxid, tkdh, jzid, zy, je, tksj, czy, sj)
    select back, q.tkdh, j.jzid, j.zy, q.je, q.tksj, q.czy, his_now() from jz j where j.zy = q.wbdh and j.zt = '1' order by j.id limit 1;
  end if;
  update gh set zt = 'cancelled', tkdh = nullif(q.tkdh, '') where id = held.id;
  answer := xmlforest(his_time(his_now()) as "CZSJ", back as "CXID");
  effect := 'done';
end $$;

-- ZT 0 cancelled, 1 booked, 2 paid, 3 not known, 4 locked only.
create or replace function his_getregist(i xml, out answer xml, out effect text) language plpgsql as $$
declare
  held gh; q record;
begin
  if his_option('inquiry') = 'none' then perform his_refuse('-20001***未开通'); end if;
  select * into q from xmltable('/IN' passing i columns wbdh text path 'WBDH');
  held := his_appointment(q.wbdh);
  effect := 'asked';
  answer := case
    when held.zt = 'cancelled' then xmlforest('0' as "ZT", held.ghdh as "GHDH", held.ghf as "GHF", (select min(cxid) from tf where tkdh = held.tkdh) as "CXID", (select min(je) from tf where tkdh = held.tkdh) as "TKJE")
    when held.zt = 'booked' then xmlforest('1' as "ZT", held.ghdh as "GHDH", held.hx as "HX", held.ghf as "GHF")
    when held.zt = 'paid' then xmlforest('2' as "ZT", held.ghdh as "GHDH", held.hx as "HX", held.ghf as "GHF", (select min(jzid) from jz where zy = held.wbdh and zt = '1') as "JZID")
    when held.id in (select id from his_held) then xmlforest('4' as "ZT", held.shid as "SHID", held.hx as "HX", held.ghf as "GHF")
    else xmlforest('3' as "ZT") end;
end $$;

-- 医嘱 by our number or the HIS's.
create or replace function his_advice(p_no text) returns yz language sql stable as $$
  select * from yz where p_no <> '' and (wbdh = p_no or no = p_no) order by id limit 1
$$;

-- Saves a prescription or an order: each YZNR is one line.
create or replace function his_advicesave(i xml, out answer xml, out effect text) language plpgsql as $$
declare
  q record; held yz; v_id bigint;
begin
  select * into q from xmltable('/IN' passing i columns wbdh text path 'WBDH', ghdh text path 'GHDH', brid text path 'BRID', xm text path 'XM', je numeric path 'JE',
    ks text path 'BRKSID', ys text path 'CZYXM', zllb text path 'YZNRLIST/YZNR[1]/ZLLB', kdsj timestamp path 'YZNRLIST/YZNR[1]/KZSJ');
  held := his_advice(q.wbdh);
  effect := 'done';
  if held.id is not null then
    effect := 'already';
    answer := xmlforest(held.no as "NO", held.je as "JE");
    if his_repeat(held.je, q.je) then return; end if;
    effect := 'again';
  end if;
  insert into yz (wbdh, no, zllb, ghdh, brid, xm, je, ks, ys, kdsj, sj)
  values (q.wbdh, his_no('S'), q.zllb, q.ghdh, q.brid, q.xm, q.je, q.ks, q.ys, q.kdsj, his_now()) returning * into held;
  insert into yzmx (yzid, xh, xmid, xmmc, gg, dw, sl, dj, je)
  select held.id, r.n, coalesce(r.ypid, r.xmid), r.mc, r.gg, r.dw, r.sl, r.dj, r.je
    from xmltable('/IN/YZNRLIST/YZNR' passing i columns n for ordinality, xmid text path 'ZLXMID', ypid text path 'DRUGLIST/ROW/YPID', mc text path 'XMMC',
      gg text path 'DRUGLIST/ROW/GG', dw text path 'DRUGLIST/ROW/DW', sl text path 'DRUGLIST/ROW/ZL | SL', dj text path 'DRUGLIST/ROW/DJ | DJ', je numeric path 'DRUGLIST/ROW/JE | JE') r;
  if not found then perform his_refuse('医嘱无明细'); end if;
  if q.je <> (select sum(je) from yzmx where yzid = held.id) then perform his_refuse('明细金额与总额不符'); end if;
  answer := xmlforest(held.no as "NO", held.je as "JE");
end $$;

create or replace function his_revokeoutadvice(i xml, out answer xml, out effect text) language plpgsql as $$
declare
  q record; held yz;
begin
  select * into q from xmltable('/IN' passing i columns wbdh text path 'WBDH', zfyy text path 'ZFYY');
  held := his_advice(q.wbdh);
  if held.id is null then perform his_refuse('医嘱不存在'); end if;
  if held.zt = '9' then
    if his_option('repeats') = 'refuse' then perform his_already(); end if;
    effect := 'already';
    answer := xmlforest(held.no as "NO", his_time(held.zfsj) as "CZSJ");
    return;
  end if;
  if held.zt <> '1' then perform his_refuse('医嘱已经收费，不能作废'); end if;
  update yz set zt = '9', zfyy = q.zfyy, zfsj = his_now() where id = held.id;
  answer := xmlforest(held.no as "NO", his_time(his_now()) as "CZSJ");
  effect := 'done';
end $$;

-- ZT 1 saved, 2 paid, 4 dispensed or performed, 5 returned, 9 void, 3 not known.
create or replace function his_getadvice(i xml, out answer xml, out effect text) language plpgsql as $$
declare
  q record; held yz;
begin
  if his_option('inquiry') = 'none' then perform his_refuse('-20001***未开通'); end if;
  select * into q from xmltable('/IN' passing i columns wbdh text path 'WBDH');
  held := his_advice(q.wbdh);
  effect := 'asked';
  answer := case when held.id is null then xmlforest('3' as "ZT") else xmlforest(held.zt as "ZT", held.wbdh as "WBDH", held.no as "NO", held.je as "JE") end;
end $$;
