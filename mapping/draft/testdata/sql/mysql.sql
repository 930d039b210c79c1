-- 前置机 interface tables, MySQL
DROP TABLE IF EXISTS `hlw_cf`;
CREATE TABLE `hlw_cf` (
  `id` bigint NOT NULL AUTO_INCREMENT,
  `jgdm` varchar(22) NOT NULL COMMENT '机构代码',
  `cfh` varchar(32) NOT NULL COMMENT '处方号',
  `jzlsh` varchar(32) COMMENT '就诊流水号',
  `brid` varchar(20) NOT NULL COMMENT '患者编号',
  `xm` varchar(32) NOT NULL COMMENT '姓名',
  `xb` char(1) NOT NULL COMMENT '性别',
  `kfsj` varchar(14) NOT NULL COMMENT '开方时间',
  `zje` decimal(12,2) NOT NULL COMMENT '总金额，单位元',
  `zddm` varchar(20) NOT NULL COMMENT '诊断代码',
  `zdmc` varchar(100) NOT NULL COMMENT '诊断名称',
  `czbz` char(1) NOT NULL DEFAULT '0' COMMENT '状态',
  `cwxx` varchar(500) COMMENT '错误信息',
  `bz2` varchar(10) NOT NULL,
  PRIMARY KEY (`id`), UNIQUE KEY `uk_cf` (`jgdm`, `cfh`)
) ENGINE=InnoDB DEFAULT CHARSET=gbk COMMENT='互联网处方主表';
CREATE TABLE hlw_cf_mx (
  id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
  jgdm varchar(22) NOT NULL,
  cfh varchar(32) NOT NULL COMMENT '处方号',
  xh int NOT NULL COMMENT '序号',
  ypdm varchar(20) NOT NULL COMMENT '药品代码',
  ypmc varchar(128) NOT NULL COMMENT '药品名称',
  sl decimal(12,4) NOT NULL COMMENT '数量',
  dj decimal(12,4) NOT NULL COMMENT '单价',
  je decimal(12,2) NOT NULL COMMENT '金额',
  FOREIGN KEY (cfh) REFERENCES hlw_cf (cfh)
) COMMENT='处方明细';
CREATE OR REPLACE VIEW v_hlw_unpaid AS SELECT f.sjh AS sjh /* 单据号 */, f.je AS je, f.jzlsh, f.xmmc FROM fee f WHERE f.zt = '0';
CREATE TABLE audit_log (id bigint AUTO_INCREMENT, what text);
DELIMITER //
CREATE PROCEDURE p_save_refund(IN p_tkdh varchar(32), IN p_je decimal(12,2), OUT o_code int, OUT o_msg varchar(200)) BEGIN SET o_code = 0; END //
