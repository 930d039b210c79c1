-- How every procedure of 江湾 is served: the business fault, the work, the journal. Failure is an ERROR node in the
-- answer, never an exception. The work of zl_third_xxx is the function his_xxx in the other files.

create or replace function his_now() returns timestamp language sql stable as $$
  select coalesce((select value::timestamp from his_option where name = 'clock'), now() at time zone 'Asia/Shanghai') -- control can stop it
$$;

create or replace function his_time(t timestamp) returns text language sql immutable as $$ select to_char(t, 'YYYY-MM-DD HH24:MI:SS') $$;

create or replace function his_option(p_name text) returns text language sql stable as $$ select value from his_option where name = p_name $$;

create or replace function his_no(letter text) returns text language sql as $$ select letter || lpad(nextval('his_no_seq')::text, 7, '0') $$;

create or replace function his_output(content xml) returns xml language sql immutable as $$ select xmlelement(name "OUTPUT", content) $$;

create or replace function his_error(words text) returns xml language sql immutable as $$
  select xmlelement(name "ERROR", xmlelement(name "MSG", words))
$$;

-- his_refuse and his_already end the work of a procedure; what it wrote is rolled back. held is what an "already" says beside its words.
create or replace function his_refuse(words text) returns void language plpgsql as $$
begin
  raise exception using errcode = 'ZL001', message = words;
end $$;

create or replace function his_already(held xml default null) returns void language plpgsql as $$
begin
  raise exception using errcode = 'ZL002', message = 'already', detail = coalesce(held::text, '');
end $$;

-- his_repeat decides about a number that is there: true when its first answer is given again, false when it is booked again.
create or replace function his_repeat(held numeric, asked numeric, what xml default null) returns boolean language plpgsql as $$
begin
  case his_option('repeats')
    when 'double' then return false;
    when 'same' then
      if held is distinct from asked then perform his_refuse('重复提交内容不一致'); end if;
      return true;
    else perform his_already(what);
  end case;
end $$;

-- The words of an "already" are different in each procedure.
create or replace function his_already_words(p_name text, p_key text) returns text language sql immutable as $$
  select case p_name
    when 'zl_third_buildpatient' then '病人已经建档'
    when 'zl_third_lockno' then '号源已经锁定'
    when 'zl_third_regist' then '单据' || p_key || '已经挂号'
    when 'zl_third_registcancel' then '单据' || p_key || '已经退号'
    when 'zl_third_advicesave' then '医嘱' || p_key || '已经保存'
    when 'zl_third_revokeoutadvice' then '医嘱' || p_key || '已经作废'
    when 'zl_third_charge_del' then '退款单' || p_key || '已经退费'
    else '单据' || p_key || '已经收费' end
$$;

-- Our number in a request: of a refund, a payment, an order or prescription, a person.
create or replace function his_key(i xml) returns text language sql stable as $$
  select coalesce(nullif(q.tkzy, ''), nullif(q.zy, ''), nullif(q.wbdh, ''), nullif(q.ptbh, ''),
                  (select min(j.zy) from jz j where j.jzid = q.jzid), nullif(q.ghdh, ''), nullif(q.brid, ''), nullif(q.zjh, ''), '')
    from xmltable('/IN' passing i columns tkzy text path 'TKLIST/TK[1]/TKZY', zy text path 'JSLIST/JS[1]/ZY | ZY', wbdh text path 'WBDH',
                  ptbh text path 'PTBH', jzid text path 'JZID', ghdh text path 'GHDH', brid text path 'BRID', zjh text path 'ZJH') q
$$;

-- his_strike finds the business fault for a request; the key of a rule is looked for in the whole of it.
create or replace function his_strike(p_name text, p_in text) returns text language plpgsql as $$
declare
  v_id bigint; v_fault text;
begin
  select id, fault into v_id, v_fault from his_fault
   where operation in ('', p_name) and (biz_key = '' or position(biz_key in p_in) > 0)
     and (times = 0 or hits < times) and (rate = 0 or random() < rate)
   order by id limit 1;
  if v_id is not null then
    update his_fault set hits = hits + 1 where id = v_id and (times = 0 or hits < times);
    if not found then v_fault := null; end if;
  end if;
  return coalesce(v_fault, '');
end $$;

create or replace function his_serve(p_name text, p_in xml) returns xml language plpgsql set search_path from current as $$
declare
  v_fault text; v_answer xml; v_effect text; v_words text; v_state text; v_held text; v_key text := '';
begin
  perform pg_sleep(his_option('latency')::double precision);
  -- One at a time: this hospital is slow, and nobody overtakes anybody.
  perform pg_advisory_xact_lock(hashtext('zlhis'));
  v_fault := his_strike(p_name, p_in::text);
  begin
    v_key := his_key(p_in);
    if v_fault = 'busy' then
      v_answer := his_error('系统繁忙，请稍后再试'); v_effect := 'busy';
    elsif v_fault = 'reject' then
      perform his_refuse('药品库存不足');
    else
      execute format('select answer, effect from his_%s($1)', substr(p_name, 10)) into v_answer, v_effect using p_in;
      if v_fault = 'duplicate_answer' then v_answer := his_error(his_already_words(p_name, v_key)); end if;
    end if;
  exception when others then
    get stacked diagnostics v_words = message_text, v_state = returned_sqlstate, v_held = pg_exception_detail;
    if v_state = 'ZL002' then
      v_effect := 'already';
      v_answer := xmlconcat(his_error(his_already_words(p_name, v_key)), nullif(v_held, '')::xml);
    else
      if v_state <> 'ZL001' then v_words := '-20999***' || v_words; end if;
      v_effect := 'refused: ' || v_words;
      -- Some procedures also say so in words.
      v_answer := case when p_name in ('zl_third_charge_delcheck', 'zl_third_lockno')
        then xmlconcat(xmlelement(name "RESULT", 'false'), his_error('-20101***' || v_words)) else his_error(v_words) end;
    end if;
  end;
  insert into his_journal (operation, biz_key, effect, fault) values (p_name, v_key, v_effect, v_fault);
  return his_output(v_answer);
end $$;

do $$
declare
  n text;
begin
  foreach n in array array['systime', 'getdept', 'getdoctor', 'getdrug', 'getstock', 'getschedule', 'buildpatient', 'getpatient',
    'lockno', 'regist', 'registcancel', 'getregist', 'advicesave', 'revokeoutadvice', 'getadvice', 'waitingpay', 'payment',
    'swapstaut', 'charge_delcheck', 'charge_del'] loop
    execute format($p$create or replace procedure zl_third_%s(xml_in xml, inout xml_out xml default null) language plpgsql as
      'begin xml_out := his_serve(''zl_third_%s'', xml_in); end'$p$, n, n);
  end loop;
end $$;
