begin
found_1: select patient_id from patient_identifier where identifier = :no and identifier_type = 3 and voided = 0 -- {"no": "0000024772"}
found_2: select user_id from users where username = :name -- {"name": "hishub"}
found_3: select visit_id from visit where uuid = :no -- {"no": "V0000345678"}
insert into encounter (patient_id, creator, date_created, uuid, encounter_type, encounter_datetime, visit_id) values (:found_1, :found_2, :date_created, :uuid, :encounter_type, :encounter_datetime, :found_3) -- {"date_created": "2026-01-05 10:00:00", "uuid": "4b6b89fa-df6d-5524-b03f-e63896b6fea0", "encounter_type": "1", "encounter_datetime": "2026-01-05 14:56:01"}
update global_property set property_value = property_value + 1 where property = 'order.nextOrderNumberSeed'
found_4: select patient_id from patient_identifier where identifier = :no and identifier_type = 3 and voided = 0 -- {"no": "0000024772"}
found_5: select user_id from users where username = :name -- {"name": "hishub"}
found_6: select concept_id from concept_reference_term where code = :code -- {"code": "001207"}
found_7: select provider_id from provider where identifier = :no -- {"no": "00731"}
found_8: select concat('ORD-', property_value) from global_property where property = 'order.nextOrderNumberSeed'
insert into orders (patient_id, creator, date_created, uuid, encounter_id, order_type_id, order_action, care_setting, concept_id, orderer, order_number, date_activated, auto_expire_date, accession_number) values (:found_4, :found_5, :date_created, :uuid, :encounter.encounter_id, :order_type_id, :order_action, :care_setting, :found_6, :found_7, :found_8, :date_activated, :auto_expire_date, :accession_number) -- {"date_created": "2026-01-05 10:00:00", "uuid": "f81cbadf-40a8-54f6-b23a-cec7e70fe2f4", "order_type_id": "2", "order_action": "NEW", "care_setting": "1", "date_activated": "2026-01-05 14:56:01", "auto_expire_date": "2026-01-08 14:56:01", "accession_number": "RX20260105000001"}
insert into drug_order (order_id, dose, quantity, dosing_type, drug_non_coded) values (:orders.order_id, :dose, :quantity, :dosing_type, :drug_non_coded) -- {"dose": "0.50", "quantity": "12", "dosing_type": "org.openmrs.SimpleDosingInstructions", "drug_non_coded": "阿莫西林胶囊"}
update global_property set property_value = property_value + 1 where property = 'order.nextOrderNumberSeed'
found_9: select patient_id from patient_identifier where identifier = :no and identifier_type = 3 and voided = 0 -- {"no": "0000024772"}
found_10: select user_id from users where username = :name -- {"name": "hishub"}
found_11: select concept_id from concept_reference_term where code = :code -- {"code": "003311"}
found_12: select provider_id from provider where identifier = :no -- {"no": "00731"}
found_13: select concat('ORD-', property_value) from global_property where property = 'order.nextOrderNumberSeed'
insert into orders (patient_id, creator, date_created, uuid, encounter_id, order_type_id, order_action, care_setting, concept_id, orderer, order_number, date_activated, auto_expire_date, accession_number) values (:found_9, :found_10, :date_created, :uuid, :encounter.encounter_id, :order_type_id, :order_action, :care_setting, :found_11, :found_12, :found_13, :date_activated, :auto_expire_date, :accession_number) -- {"date_created": "2026-01-05 10:00:00", "uuid": "3cfe70d2-87a1-53d7-ae69-a66175b3fc27", "order_type_id": "2", "order_action": "NEW", "care_setting": "1", "date_activated": "2026-01-05 14:56:01", "auto_expire_date": "2026-01-08 14:56:01", "accession_number": "RX20260105000001"}
insert into drug_order (order_id, dose, quantity, dosing_type, drug_non_coded) values (:orders.order_id, :dose, :quantity, :dosing_type, :drug_non_coded) -- {"dose": "1", "quantity": "2", "dosing_type": "org.openmrs.SimpleDosingInstructions", "drug_non_coded": "维生素C片"}
commit
